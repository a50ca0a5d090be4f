"""The kinds of errors.

Mri2QmapError                    exit code 1
├── UsageError                   64   the command line is invalid
├── LevelError                   17   the analysis level is unknown
├── InputError                   66   a file or directory named on the command line does not exist
├── DatasetError                 16   the dataset as a whole cannot be used
├── NothingSelectedError         18   the filters select no run
├── OutputError                  73   the output cannot be written
├── ArgumentError                 1   a value given from Python is invalid; also a ValueError
├── MachineError                 71   the machine does not offer what the program needs
├── QualityError                 65   all runs are done, and one is rated as bad as --fail-on names
├── SidecarError                  1   a run's metadata are invalid
├── RawDataError                  1   a run's k-space file is invalid
├── PulseqError                   1   a Pulseq file is invalid or not understood
├── WeightsError                  1   a denoiser's weights cannot be used
├── RegistrationError             1   a run cannot be registered to a T1w image
├── MemoryLimitError              1   a run needs more memory than allowed
├── DeviceError                   1   the requested device is not available
└── UnexpectedError               1   a run's files broke something that no check foresaw

Every message states what is required, what was found, and in which file.
"""

# Characters of the text of an error of another kind.
_LONGEST = 300


class Mri2QmapError(Exception):
    """Any error that the user can correct; its text is one line."""

    exit_code = 1


class UsageError(Mri2QmapError):
    """The command line is invalid or contradicts itself."""

    exit_code = 64


class LevelError(Mri2QmapError):
    """The command line has an unknown analysis level."""

    exit_code = 17


class InputError(Mri2QmapError):
    """A file or directory named on the command line does not exist."""

    exit_code = 66


class DatasetError(Mri2QmapError):
    """The input dataset cannot be used at all."""

    exit_code = 16


class NothingSelectedError(Mri2QmapError):
    """The dataset is valid, but the filters select no run."""

    exit_code = 18


class OutputError(Mri2QmapError):
    """The output directory cannot be written."""

    exit_code = 73


class ArgumentError(Mri2QmapError, ValueError):
    """An argument of a Python function or dataclass is invalid."""


class MachineError(Mri2QmapError):
    """The machine does not offer what every run needs."""

    exit_code = 71


class QualityError(Mri2QmapError):
    """All runs are done, but one of them is rated as the call does not accept it."""

    exit_code = 65


class SidecarError(Mri2QmapError):
    """A run's JSON sidecar lacks a key or has an invalid value."""


class RawDataError(Mri2QmapError):
    """A run's raw k-space file is unreadable or invalid."""


class PulseqError(Mri2QmapError):
    """A Pulseq file is invalid, or plays what is not understood."""


class WeightsError(Mri2QmapError):
    """A denoiser's weights are missing, damaged or do not fit."""


class RegistrationError(Mri2QmapError):
    """A run cannot be registered to the participant's T1w image."""


class MemoryLimitError(Mri2QmapError):
    """A run needs more memory than allowed."""


class DeviceError(Mri2QmapError):
    """The requested device is not available."""


class UnexpectedError(Mri2QmapError):
    """A run's files broke something that no check foresaw; the cause is another kind of error."""


def one_line(error: BaseException) -> str:
    r"""An error's text without line breaks and control characters, shortened.

    >>> one_line(ValueError("no\n  way\x1b[0m"))
    'no way?[0m'
    """
    text = "".join(c if c.isprintable() else "?" for c in " ".join(str(error).split()))
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
