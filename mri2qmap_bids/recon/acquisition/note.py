"""What the log is to say of a file."""

Note = tuple[int, str]
"""Level, as of the logging module, and text."""
