"""Training of denoisers on routine weighted images."""
