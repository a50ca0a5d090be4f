"""BIDS: finding runs, reading sidecars, writing derivatives."""
