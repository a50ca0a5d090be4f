"""What the scanner gave: raw files, noise, geometry."""
