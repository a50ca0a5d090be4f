"""How an image becomes k-space: coils, density, Fourier transform."""
