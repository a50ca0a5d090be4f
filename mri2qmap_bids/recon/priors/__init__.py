"""Regularisers and denoising priors."""
