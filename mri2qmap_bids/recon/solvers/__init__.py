"""Iterative solvers of the inverse problem; the operator is an argument."""
