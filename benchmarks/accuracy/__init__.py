"""How accurate are the maps: the same simulated scans, every method, side by side."""
