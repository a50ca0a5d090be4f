"""sigpy, imported when it is needed: its import takes seconds."""

import importlib
from types import ModuleType


def sigpy_module(name: str) -> ModuleType:
    """A module of sigpy, also where numba finds no folder for its cache.

    numba then refuses to load functions whose compiled form is to be cached: the packages are
    read-only and the user has no home, as in some containers. Without compilation sigpy loads
    all the same, and its parts used here, coils and RF pulses, are plain numpy.

    Parameters
    ----------
    name
        E.g. ``sigpy.mri``.
    """
    try:
        return importlib.import_module(name)
    except RuntimeError:
        from numba import config

        before = config.DISABLE_JIT
        config.DISABLE_JIT = 1
        try:
            return importlib.import_module(name)
        finally:
            config.DISABLE_JIT = before
