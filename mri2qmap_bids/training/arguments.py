"""Arguments of ``mri2qmap-tools train``."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add all arguments."""
    parser.add_argument(
        "output",
        type=Path,
        help="weights file to write (.safetensors); the model card and the training curve are written beside it, "
        "and until then a .checkpoint, from which the same call continues",
    )
    parser.add_argument("--images", type=Path, help="folder of weighted NIfTI volumes, BIDS or not")
    parser.add_argument(
        "--labels",
        nargs="+",
        type=Path,
        default=[],
        help="label files to synthesise contrasts from: BrainWeb's, or, for volumes, with FreeSurfer's numbers",
    )
    parser.add_argument(
        "--slices-per-label",
        type=int,
        default=60,
        help="number of slices taken from each label file",
    )
    parser.add_argument(
        "--hold-out",
        nargs="+",
        required=True,
        help="subjects (beginnings of file names) reserved for validation",
    )
    parser.add_argument(
        "--dimensions",
        type=int,
        choices=(2, 3),
        default=2,
        help="2: a network of slices, 3: of volumes, trained on contrasts as a reconstruction gives them",
    )
    parser.add_argument("--steps", type=int, default=20000, help="optimiser steps")
    parser.add_argument(
        "--seconds", type=float, help="end training after this time, if before the last step"
    )
    parser.add_argument("--batch", type=int, default=16, help="patches per step")
    parser.add_argument(
        "--patch", type=int, help="edge of a patch [voxel]; default: 64, of volumes 48"
    )
    parser.add_argument(
        "--validate-every",
        type=int,
        default=1000,
        help="steps between validations and checkpoints",
    )
    parser.add_argument(
        "--separate",
        action="store_true",
        help="denoise single images of any contrast instead of all contrasts of a slice together",
    )
    parser.add_argument(
        "--width", type=int, default=64, help="number of features at half resolution"
    )
    parser.add_argument(
        "--levels", type=int, default=2, help="number of resolution levels of the network"
    )
    parser.add_argument(
        "--initial",
        type=Path,
        help="initial weights, which also set the network architecture; default: random",
    )
    parser.add_argument("--rate", type=float, default=1e-3, help="maximum learning rate")
    parser.add_argument(
        "--shares",
        nargs=3,
        type=float,
        default=(0.4, 0.35, 0.25),
        metavar=("ANATOMIES", "TURNED", "IMAGES"),
        help="fractions of the patches from anatomies, from T1-weighted images converted to maps, and "
        "from unmodified images",
    )
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N")
    parser.add_argument("--seed", type=int, default=0, help="seed of all random numbers")
    parser.add_argument(
        "--source",
        nargs="+",
        default=[],
        metavar="NAME=LICENCE",
        help="sources of the training data with their licences (NAME=unknown: not known), for the model card",
    )
