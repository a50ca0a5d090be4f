"""One file per reconstruction method, and the registry that finds them by name."""
