"""The methods section: true of the options, and only of them."""

import re

import pytest

from mri2qmap_bids.citation.methods import Work, methods_text
from mri2qmap_bids.citation.references import REFERENCES
from mri2qmap_bids.dataset.provenance import describe_maps
from mri2qmap_bids.recon.acquisition.header import ScanHeader
from mri2qmap_bids.recon.methods.registry import SUMMARIES, method_named
from mri2qmap_bids.recon.options import ReconOptions

HEADER = ScanHeader((8, 8, 1), (0.2, 0.2, 0.005), (8, 8, 1), (0.2, 0.2, 0.005), field_strength=3.0)


def work(method="mri2qmap", kind="FISP", sources=(), efficiency=None, registration=None, **options):
    metadata = {"PulseSequenceType": kind, "MRAcquisitionType": "2D"}
    options = ReconOptions(method=method, **options)
    sidecar = describe_maps(metadata, HEADER, options, inversion_efficiency=efficiency)
    sidecar |= {"MRFRegistration": registration} if registration else {}
    return Work({**sidecar, "Sources": list(sources)}, {"mri2qmap_bids": "1", "torch": "2.13.0"})


def text(*works) -> str:
    return methods_text(works or (work(),)).markdown


def estimated(efficiency, method="mri2qmap", sources=()):
    registration = {"Software": "SimpleITK 2.5", "OutputSpaces": ["T1w"]} if sources else None
    return work(
        method,
        sources=sources,
        efficiency=efficiency,
        registration=registration,
        inversion_efficiency="estimate",
    )


def test_a_registration_is_described_if_there_was_one():
    assert "registered" not in text()
    section = text(work(registration={"Software": "SimpleITK 2.5", "OutputSpaces": []}))
    assert "registered rigidly to a T1w image" in section
    assert "with SimpleITK 2.5 [" in section
    assert "onto the grid" not in section
    assert "onto the grid" in text(work(registration={"OutputSpaces": ["T1w"]}))


def test_libraries_of_several_versions_are_listed_with_each():
    first, again = work(), work()
    later = Work(first.sidecar, {"mri2qmap_bids": "1", "torch": "2.14.0", "numpy": "2.4"})
    assert "(torch 2.13.0 or 2.14.0, numpy 2.4)." in text(first, later, again)
    assert "(torch 2.13.0)." in text(first, again)


@pytest.mark.parametrize("method", SUMMARIES)
def test_references_are_those_that_are_cited_and_no_more(method):
    section = methods_text([work(method)])
    body, listed = section.markdown.rsplit("\n\n", 1)
    cited = {int(n) for group in re.findall(r"\[([\d, ]+)\]", body) for n in group.split(", ")}
    assert "@" not in body
    assert cited == set(range(1, len(listed.splitlines()) + 1))
    keys = re.findall(r"@article\{(\w+),", section.bibtex)
    for line, key in zip(listed.splitlines(), keys, strict=True):
        assert REFERENCES[key].title in line


def test_every_reference_is_cited_by_some_method():
    field = ["bids:raw:sub-01/fmap/sub-01_fieldmap.nii.gz"]
    cited = {
        key
        for method in SUMMARIES
        for key in re.findall(
            r"@article\{(\w+),",
            methods_text(
                [
                    estimated(0.9, method, sources=field),
                    work(method, efficiency=0.9, inversion_efficiency="map"),
                ]
            ).bibtex,
        )
    }
    assert cited == set(REFERENCES)


def test_each_method_is_described_by_its_own_words():
    denoised = "learned denoiser"
    assert denoised in text(work("mri2qmap"))
    assert "MRI2Qmap [" in text(work("mri2qmap"))
    assert "Golbabaee" in text(work("mri2qmap"))
    assert "bilateral weights" in text(work("mri2qmap"))
    for method in ("lrtv", "llr", "subspace", "gridding"):
        assert denoised not in text(work(method))
        assert "Golbabaee" not in text(work(method))
        assert "bilateral weights" not in text(work(method))
        assert "Plug-and-play" not in text(work(method))
    assert "total variation" in text(work("lrtv"))
    assert "locally low rank" not in text(work("lrtv"))
    assert "locally low rank" in text(work("llr"))
    assert "total variation" not in text(work("llr"))
    assert "Hestenes" not in text(work("gridding"))
    for method in SUMMARIES:
        assert ("density-compensated adjoint" in text(work(method))) == (method == "gridding")
        assert ("alternating direction" in text(work(method))) == (
            method in ("lrtv", "llr", "mri2qmap")
        )
        assert ("perturb-and-MAP" in text(work(method))) == (method != "gridding")
        assert ("data-consistency step" in text(work(method))) == (method in ("mri2qmap", "pnp"))


FIRST = "At most {} steps with density-compensated"
ROUNDS = "in rounds of at most {} steps"
DRAWN = "at most {} conjugate-gradient steps per round"
DATA_STEP = "data-consistency step (at most {} preconditioned"


@pytest.mark.parametrize(
    ("method", "numbers"),
    [
        (
            "mri2qmap",
            {
                "start.start.density_steps": FIRST,
                "start.start.steps": ROUNDS,
                "start.start.replica_steps": DRAWN,
                "start_steps": "] in at most {} steps.",
                "start_weight": "weight {} relative to 12 times",
                "start.strength": "relative to {} times the sampling density",
                "data_steps": DATA_STEP,
                "residual_weight": "the same smoothness term (weight {})",
                "residual_level": "of {} times the median sampling density",
            },
        ),
        (
            "lrtv",
            {
                "start.density_steps": FIRST,
                "start.steps": ROUNDS,
                "strength": "relative to {} times the sampling density",
            },
        ),
        ("llr", {"start.steps": ROUNDS, "start.replica_steps": DRAWN}),
        ("subspace", {"density_steps": FIRST, "replica_steps": DRAWN}),
        ("pnp", {"start.steps": ROUNDS, "data_steps": DATA_STEP}),
    ],
)
def test_numbers_are_those_of_the_sidecar_which_are_those_of_the_solvers(method, numbers):
    for path, words in numbers.items():
        treated = work(method)
        *rooms, name = path.split(".")
        own, stored = (
            method_named(method).settings,
            treated.sidecar["MRFReconstruction"]["settings"],
        )
        for room in rooms:
            own, stored = getattr(own, room), stored[room]
        assert words.format(f"{getattr(own, name):g}") in text(treated), path
        stored[name] = 77
        assert words.format(77) in text(treated), path


@pytest.mark.parametrize("method", ["subspace", "lrtv", "llr", "mri2qmap", "pnp"])
def test_steps_that_a_run_took_are_its_own(method):
    section = text(work(method, n_iterations=53))
    words = {"subspace": "steps, each", "lrtv": "steps.", "llr": "steps."}
    assert f"at most 53 {words.get(method, 'iterations of')}" in section


def test_one_iteration_is_told_as_one():
    assert "one iteration of matching" in text(work(n_iterations=1))


@pytest.mark.parametrize("method", ["subspace", "lrtv", "llr"])
def test_a_regulariser_without_weight_is_not_told(method):
    section = text(work(method, regularisation=0.0))
    assert "alternating direction" not in section
    assert ("no smoothness term" in section) == (method == "subspace")


def test_parameters_are_those_that_were_used():
    section = text(work("lrtv", n_iterations=7, regularisation=0.25, rank=5, grid_step=0.1))
    assert "in at most 7 steps" in section
    assert "weight 0.25 relative" in section
    assert "Tikhonov term of weight 0.3 " in text(work("subspace", regularisation=0.3))
    assert "to the 5 components" in section
    assert "at most 10 %" in section
    assert "fewest components with 99.99 % of the energy" in text()
    assert "weights of the package" in text()
    assert "weights own.safetensors" in text(work(denoiser="/somewhere/own.safetensors"))
    assert "/somewhere" not in text(work(denoiser="/somewhere/own.safetensors"))


def test_the_acquisition_is_the_sidecars():
    assert "2D acquisition was gradient-spoiled (FISP)" in text()
    assert "at 3 T" in text()
    balanced = text(work(kind="bSSFP"))
    assert "balanced (bSSFP)" in balanced
    assert "Jiang" not in balanced


def test_the_transmit_field_is_told_only_where_it_was_used():
    assert "transmit field" not in text(work(sources=["bids:raw:sub-01/anat/sub-01_MRF.h5"]))
    assert "transmit field" in text(work(sources=["bids:raw:sub-01/fmap/sub-01_TB1map.nii.gz"]))
    assert "Off-resonance" not in text(work())
    assert "Off-resonance" in text(work(sources=["bids:raw:sub-01/fmap/sub-01_fieldmap.nii.gz"]))


def test_the_inversion_efficiency_is_told_where_it_was_estimated():
    assert "efficiency of the inversion" not in text(work(efficiency=0.9))
    assert re.search(r"golden-section search \[\d+\]: 0\.900\.", text(estimated(0.9)))
    local = work(efficiency=0.9, inversion_efficiency="map")
    assert re.search(r"local likelihood \[\d+\].*its median was 0\.900\.", text(local))
    both = text(estimated(0.9), estimated(0.8123))
    assert "0.812 to 0.900" in both and "Processed differently" not in both


def test_runs_that_were_treated_alike_share_a_paragraph():
    section = text(work(), work(), work("llr"))
    assert "k-space [1] of 2 runs" in section
    assert section.count("1 run more") == 1
    assert (
        section.index("learned denoiser") < section.index("run more") < section.index("locally low")
    )


def test_software_is_named_with_its_version():
    assert "torch 2.13.0" in text()


def test_html_is_a_fragment_with_its_references_as_a_list():
    html = methods_text([work()]).html
    assert html.startswith("<p>")
    assert "<ol>" in html
    assert '<a href="https://doi.org/10.1038/nature11971">' in html
    assert "<script" not in html


def test_what_a_sidecar_says_cannot_break_the_page():
    html = methods_text([work(kind="<script>alert(1)</script>")]).html
    assert "<script" not in html
