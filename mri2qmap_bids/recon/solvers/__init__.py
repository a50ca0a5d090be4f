"""How an inverse problem is solved: solvers that are handed their operator."""
