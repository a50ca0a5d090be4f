"""Methods by name, and their defaults filled in."""

from pathlib import Path

import pytest

from mri2qmap_bids.recon.methods import registry
from mri2qmap_bids.recon.methods.base import Method, MethodText
from mri2qmap_bids.recon.methods.registry import (
    SUMMARIES,
    method_named,
    method_names,
    resolved,
    sloppy,
    weights_file,
)
from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.recon.planning.work import StageWork, Work


@pytest.fixture
def toy(monkeypatch):
    """A method with defaults that are no other's; options that name it."""

    def of(**fields):
        method = Method(
            "toy",
            "Toy",
            lambda *_: None,
            lambda _: Work((StageWork("all"),)),
            lambda _: MethodText("", ""),
            **fields,
        )
        monkeypatch.setattr(registry, "method_named", lambda name: {"toy": method}[name])

    return of


def test_every_name_leads_to_the_method_of_that_name():
    assert set(SUMMARIES) <= set(method_names())
    assert [method_named(name).name for name in SUMMARIES] == list(SUMMARIES)
    assert len({method_named(name).title for name in SUMMARIES}) == len(SUMMARIES)


def test_an_unknown_name_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match=r"must be one of mri2qmap, .*llr.*, got 'lrtvv'"):
        method_named("lrtvv")


def test_defaults_of_the_method_fill_what_is_not_given(toy):
    toy(iterations=13, regularisation=0.375)
    options = resolved(ReconOptions(method="toy"))
    assert (options.n_iterations, options.regularisation) == (13, 0.375)
    options = resolved(ReconOptions(method="toy", n_iterations=2, regularisation=0.0))
    assert (options.n_iterations, options.regularisation) == (2, 0.0)
    assert resolved(options) == options


def test_what_a_method_does_not_have_is_none_whatever_is_given(toy):
    toy()
    options = resolved(ReconOptions(method="toy", n_iterations=5, regularisation=1.0))
    assert options.n_iterations is None and options.regularisation is None
    assert weights_file(ReconOptions(method="toy", denoiser="x")) is None


def test_weights_are_those_of_the_method_or_of_the_user(toy):
    toy(weights="joint")
    assert weights_file(ReconOptions(method="toy")).name == "joint.safetensors"
    assert weights_file(ReconOptions(method="toy", denoiser="/a/b")) == Path("/a/b")


def test_sloppy_takes_a_quarter_of_the_steps_but_at_least_one(toy):
    for iterations, expected in ((13, 3), (2, 1), (None, None)):
        toy(iterations=iterations)
        assert sloppy(ReconOptions(method="toy")).n_iterations == expected
    assert sloppy(ReconOptions(method="toy", n_iterations=50)).n_iterations == 50
