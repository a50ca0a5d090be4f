"""Parameters of a run, as text."""

from collections.abc import Iterable

import numpy as np

from mri2qmap_bids.dataset.transform import REGISTRATION
from mri2qmap_bids.report.run import Run


def facts_of(run: Run) -> Iterable[tuple[str, str]]:
    """Names and values of what is known of a run.

    Parameters
    ----------
    run
        The run.
    """
    sidecar = run.sidecar
    yield "Method", str(sidecar.get("ReconMethodName", "not known"))
    if run.recorded is not None:
        yield "Rating when it was made", str(run.recorded)
    z, y, x = run.mask.shape
    sizes = " x ".join(f"{size:.3g}" for size in run.voxel_size[::-1])
    kind = "volume" if run.is_3d else "slices"
    yield "Voxels", f"{x} x {y} x {z} ({kind}), {sizes} mm"
    volume = float(np.prod(run.voxel_size)) * int(run.mask.sum()) / 1e3
    yield "Mask", f"{int(run.mask.sum())} voxels, {volume:.0f} ml"
    if run.field_strength:
        yield "Field strength", f"{run.field_strength:g} T"
    diagnostics = run.diagnostics
    if diagnostics is not None:
        train = diagnostics.sequence
        inversion = (
            f", inversion {1e3 * train.inversion_time:.0f} ms" if train.inversion_time else ""
        )
        yield (
            "Sequence",
            f"{train.kind}, {train.n_frames} frames, {train.duration:.1f} s{inversion}",
        )
        if "MRFInversionEfficiency" in sidecar:
            yield "Inversion efficiency", f"{sidecar['MRFInversionEfficiency']:.3f}, estimated"
        for note in run.notes:
            yield "Slice profile", note
        yield (
            "Dictionary",
            f"{diagnostics.n_atoms} tissues, T1 {diagnostics.t1_range[0]:g}-{diagnostics.t1_range[1]:g} s, "
            f"T2 {diagnostics.t2_range[0]:g}-{diagnostics.t2_range[1]:g} s; rank {diagnostics.basis.shape[1]} "
            f"({100 * diagnostics.energy:.3f} % of the energy)",
        )
        if not run.is_3d and len(run.mask) > 1:
            number = diagnostics.part.planes[0].index + 1
            yield (
                "Figures of the fit",
                f"of slice {number} of {len(run.mask)}, as the checks Delay and Coverage of k-space; others are of all "
                "slices or of the worst",
            )
        yield "Computed on", diagnostics.device
    if run.conditions is not None:
        spent = sum(run.conditions.seconds.values()) + sum(
            diagnostics.seconds.values() if diagnostics else ()
        )
        yield "Time", f"{spent:.1f} s"
        yield "Peak memory", f"{run.conditions.peak_memory_gb:.2f} GB"
    if run.t1w is not None and isinstance(sidecar.get(REGISTRATION), dict):
        yield "Registered to", str(sidecar[REGISTRATION].get("Target", "not known"))
    sources = sidecar.get("Sources")
    if sources:
        yield "Sources", ", ".join(map(str, sources))
