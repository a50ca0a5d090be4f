"""Messages about a file, for the log."""

Note = tuple[int, str]
"""Level, as of the logging module, and text."""
