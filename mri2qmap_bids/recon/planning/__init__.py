"""Memory and time of a reconstruction, and the plan that fits the machine."""
