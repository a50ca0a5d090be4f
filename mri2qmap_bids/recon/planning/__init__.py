"""What a reconstruction costs, and the way to do it that fits the machine."""
