"""Diagnostics of a reconstruction."""
