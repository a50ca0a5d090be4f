"""What a method says of itself, and settings that come back from a sidecar."""

import json
from dataclasses import asdict, dataclass, replace

import pytest

from mri2qmap_bids.recon.methods.base import Method, MethodText, restored
from mri2qmap_bids.recon.methods.registry import SUMMARIES, method_named
from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.recon.planning.work import StageWork, Work

METHOD = Method(
    name="toy",
    title="Toy",
    solve=lambda *_: None,
    work=lambda _: Work((StageWork("all"),)),
    text=lambda _: MethodText("", ""),
    iterations=7,
    regularisation=0.25,
)


@dataclass(frozen=True)
class Inner:
    steps: int = 3


@dataclass(frozen=True)
class Outer:
    inner: Inner = Inner()
    weight: float = 0.5
    detail: tuple[float, ...] = (1.0, 2.0)
    name: str = "x"


def test_options_go_before_the_defaults_and_zero_is_a_weight():
    assert METHOD.n_iterations(ReconOptions()) == 7
    assert METHOD.n_iterations(ReconOptions(n_iterations=3)) == 3
    assert METHOD.weight(ReconOptions()) == 0.25
    assert METHOD.weight(ReconOptions(regularisation=0.0)) == 0
    direct = replace(METHOD, iterations=None, regularisation=None)
    assert direct.n_iterations(ReconOptions()) == 0 and direct.weight(ReconOptions()) == 0


def test_settings_come_back_from_a_sidecar():
    own = Outer(Inner(9), 1.0, (3.0, 4.0, 5.0), "y")
    assert restored(Outer(), json.loads(json.dumps(asdict(own)))) == own
    # A whole number written by another program, and a key of another version.
    again = restored(Outer(), {"weight": 1, "inner": {"other": 2}, "strange": 1})
    assert again == Outer(weight=1.0) and isinstance(again.weight, float)
    assert restored(Outer(), None) == Outer()


@pytest.mark.parametrize("name", SUMMARIES)
def test_settings_of_every_method_come_back(name):
    settings = method_named(name).settings
    if settings is not None:
        assert restored(settings, json.loads(json.dumps(asdict(settings)))) == settings
