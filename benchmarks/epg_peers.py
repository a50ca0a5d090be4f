"""Fingerprints against another extended-phase-graph simulator, mrpro's.

python benchmarks/epg_peers.py benchmarks/epg_peers.md

Needs mrpro beside the package (pip install -c constraints.txt mrpro). Where torchvision was built for
CUDA and torch was not, its missing operators are declared here so that mrpro can be imported.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from mri2qmap_bids.recon.physics.epg import simulate
from mri2qmap_bids.recon.physics.pulse_sequence import PulseSequence
from mri2qmap_bids.simulate.sequences import make_sequence

TISSUES = {"WM": (0.85, 0.065), "GM": (1.4, 0.095), "CSF": (4.0, 1.8), "fat": (0.37, 0.12)}
N_TIMED = 500


def mrpro_fingerprints(
    sequence: PulseSequence, t1: torch.Tensor, t2: torch.Tensor, n_states: int
) -> torch.Tensor:
    """The same train played by mrpro, shape (atom, frame)."""
    declared = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        declared.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    from mrpro.operators.models import EPG

    played = EPG.EPGSequence()
    if sequence.inversion_time is not None:
        played.append(EPG.InversionBlock(sequence.inversion_time))
    for flip, phase, te, tr in zip(
        *map(
            np.ndarray.tolist,
            (sequence.flip_angle, sequence.rf_phase, sequence.echo_time, sequence.repetition_time),
        ),
        strict=True,
    ):
        played.append(EPG.RFBlock(flip, phase))
        played.append(EPG.DelayBlock(te))
        played.append(EPG.AcquisitionBlock())
        if sequence.kind == "FISP":
            played.append(EPG.GradientDephasingBlock())
        played.append(EPG.DelayBlock(tr - te))
    parameters = EPG.Parameters(torch.ones_like(t1, dtype=torch.complex64), t1, t2)
    _, signals = played(parameters, states=n_states)
    signal = torch.stack(signals, dim=-1)
    return signal * torch.exp(-1j * torch.as_tensor(sequence.rf_phase, dtype=torch.float32))


def main() -> None:
    """Compare, time and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path)
    words = parser.parse_args()
    lines = [
        "# Fingerprints against mrpro",
        "",
        f"`python benchmarks/epg_peers.py {words.table}`: trains of 400 frames after an inversion, 100 "
        "configuration orders in both. Difference relative to the norm of mrpro's signal, up to a constant "
        f"phase; CPU seconds for {N_TIMED} tissues.",
        "",
        "| train | tissue | difference | mrpro [cpu s] | here [cpu s] |",
        "|---|---|---|---|---|",
    ]
    for kind in ("FISP", "bSSFP"):
        sequence = make_sequence(kind, 400)
        sequence = type(sequence)(**{**vars(sequence), "preparation_time": None})
        t1, t2 = (torch.tensor(values) for values in zip(*TISSUES.values(), strict=True))
        theirs = mrpro_fingerprints(sequence, t1, t2, 100).numpy()
        ours = simulate(sequence, t1, t2).numpy()
        many = torch.full((N_TIMED,), 1.0), torch.full((N_TIMED,), 0.08)
        start = time.process_time()
        mrpro_fingerprints(sequence, *many, 100)
        middle = time.process_time()
        simulate(sequence, *many)
        seconds = middle - start, time.process_time() - middle
        for name, own, reference in zip(TISSUES, ours, theirs, strict=True):
            turn = np.vdot(own, reference)
            turned = own * turn / abs(turn)
            difference = np.linalg.norm(turned - reference) / np.linalg.norm(reference)
            lines.append(
                f"| {kind} | {name} | {difference:.1e} | {seconds[0]:.2f} | {seconds[1]:.2f} |"
            )
    words.table.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
