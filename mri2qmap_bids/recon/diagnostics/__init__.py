"""What shows whether a reconstruction can be trusted."""
