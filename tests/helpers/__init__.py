"""Independent references and laws that the tests share."""
