"""How the inverse is found: solvers that are handed their operator."""
