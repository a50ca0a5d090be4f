"""Networks that denoise weighted images, their weights, and the orientations in which images are denoised."""
