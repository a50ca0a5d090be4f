"""The few ways a run may fail.

Mri2QmapError                    exit code 1
├── UsageError                   64   the command line contradicts itself
├── LevelError                   17   the analysis level is none of this program's
├── InputError                   66   what the command line names is not there
├── DatasetError                 16   the dataset as a whole cannot be used
├── NothingSelectedError         18   the filters leave no run
├── OutputError                  73   the output cannot be written
├── SidecarError                  1   a run's metadata breaks a rule
├── RawDataError                  1   a run's k-space file breaks a rule
├── WeightsError                  1   a denoiser's weights cannot be used
├── MemoryLimitError              1   a run needs more memory than it may use
└── DeviceError                   1   the asked-for device is not there

Every message says what must be, what was found, and in which file.
"""


class Mri2QmapError(Exception):
    """Any failure the user can do something about; its text is one line."""

    exit_code = 1


class UsageError(Mri2QmapError):
    """The command line asks for something that cannot be."""

    exit_code = 64


class LevelError(Mri2QmapError):
    """The command line asks for an analysis level that there is none of."""

    exit_code = 17


class InputError(Mri2QmapError):
    """A file or directory that the command line names is not there."""

    exit_code = 66


class DatasetError(Mri2QmapError):
    """The input dataset cannot be used at all."""

    exit_code = 16


class NothingSelectedError(Mri2QmapError):
    """The dataset is fine, but the filters leave no run."""

    exit_code = 18


class OutputError(Mri2QmapError):
    """The output directory cannot be written."""

    exit_code = 73


class SidecarError(Mri2QmapError):
    """A run's JSON sidecar lacks a key or breaks a rule."""


class RawDataError(Mri2QmapError):
    """A run's raw k-space file is unreadable or breaks a rule."""


class WeightsError(Mri2QmapError):
    """A denoiser's weights are missing, damaged or do not fit."""


class MemoryLimitError(Mri2QmapError):
    """A run needs more memory than it may use."""


class DeviceError(Mri2QmapError):
    """The device that was asked for is not available."""
