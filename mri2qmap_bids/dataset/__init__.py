"""The rooms that know BIDS: finding runs, reading sidecars, writing derivatives."""
