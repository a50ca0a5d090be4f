"""What images look like: regularisers and denoising priors."""
