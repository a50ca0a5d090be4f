"""Networks that denoise weighted images, their weights, and how images are shown to them."""
