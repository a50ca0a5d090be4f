"""Scanners' files and arrays to a BIDS dataset of raw MR fingerprinting: one module for each source."""
