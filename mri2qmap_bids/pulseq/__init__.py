"""Pulseq files: their events, timing, flip angles and k-space trajectory."""
