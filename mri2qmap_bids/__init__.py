"""MR Fingerprinting as a BIDS-App: raw k-space in, quantitative maps out."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("mri2qmap_bids")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"
