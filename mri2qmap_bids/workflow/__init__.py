"""Which step waits for which: Nipype nodes around the reconstruction."""
