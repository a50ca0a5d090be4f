"""Raw MRF datasets made from digital brains, by an encoding path of their own."""
