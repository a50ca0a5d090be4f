"""The encoding model: coil sensitivities, sampling density, non-uniform Fourier transform."""
