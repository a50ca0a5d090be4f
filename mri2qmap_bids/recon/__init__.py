"""The reconstruction: arrays in, quantitative maps out; no BIDS, Nipype or command line."""
