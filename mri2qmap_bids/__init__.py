"""MR Fingerprinting as a BIDS-App: raw k-space in, quantitative maps out."""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mri2qmap_bids.dataset.nifti import save_nifti
    from mri2qmap_bids.recon.acquisition.layout import ReadLayout
    from mri2qmap_bids.recon.acquisition.raw import read_raw
    from mri2qmap_bids.recon.acquisition.scan import RawScan, SliceSamples
    from mri2qmap_bids.recon.options import ReconOptions
    from mri2qmap_bids.recon.physics.maps import QuantitativeMaps
    from mri2qmap_bids.recon.physics.pulse_sequence import PulseSequence
    from mri2qmap_bids.recon.reconstruct import reconstruct
    from mri2qmap_bids.settings import Settings
    from mri2qmap_bids.workflow.graph import init_mri2qmap_wf

try:
    __version__ = version("mri2qmap_bids")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"

__all__ = [
    "QuantitativeMaps",
    "RawScan",
    "ReadLayout",
    "ReconOptions",
    "PulseSequence",
    "Settings",
    "SliceSamples",
    "init_mri2qmap_wf",
    "read_raw",
    "reconstruct",
    "save_nifti",
]
# Imported when they are asked for: torch and Nipype take seconds.
_HOMES = {
    "QuantitativeMaps": "recon.physics.maps",
    "RawScan": "recon.acquisition.scan",
    "ReadLayout": "recon.acquisition.layout",
    "ReconOptions": "recon.options",
    "PulseSequence": "recon.physics.pulse_sequence",
    "Settings": "settings",
    "SliceSamples": "recon.acquisition.scan",
    "init_mri2qmap_wf": "workflow.graph",
    "read_raw": "recon.acquisition.raw",
    "reconstruct": "recon.reconstruct",
    "save_nifti": "dataset.nifti",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
