"""The methods section: true of the options, and only of them."""

import re

import pytest

from mri2qmap_bids.citation.methods import Work, methods_text
from mri2qmap_bids.citation.references import REFERENCES
from mri2qmap_bids.dataset.provenance import describe_maps
from mri2qmap_bids.recon.acquisition.header import ScanHeader
from mri2qmap_bids.recon.options import RECON_METHODS, ReconOptions

HEADER = ScanHeader((8, 8, 1), (0.2, 0.2, 0.005), (8, 8, 1), (0.2, 0.2, 0.005), field_strength=3.0)


def work(method="mri2qmap", kind="FISP", sources=(), **options):
    metadata = {"PulseSequenceType": kind, "MRAcquisitionType": "2D"}
    sidecar = describe_maps(metadata, HEADER, ReconOptions(method=method, **options))
    return Work({**sidecar, "Sources": list(sources)}, {"mri2qmap_bids": "1", "torch": "2.13.0"})


def text(*works) -> str:
    return methods_text(works or (work(),)).markdown


@pytest.mark.parametrize("method", RECON_METHODS)
def test_references_are_those_that_are_cited_and_no_more(method):
    methods = methods_text([work(method)])
    body, listed = methods.markdown.rsplit("\n\n", 1)
    cited = {int(n) for found in re.findall(r"\[([\d, ]+)\]", body) for n in found.split(", ")}
    assert "@" not in body
    assert cited == set(range(1, len(listed.splitlines()) + 1))
    keys = re.findall(r"@article\{(\w+),", methods.bibtex)
    for line, key in zip(listed.splitlines(), keys, strict=True):
        assert REFERENCES[key].title in line


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
    assert "density-compensated" not in text(work("subspace"))


def test_parameters_are_those_that_were_used():
    found = text(work("lrtv", n_iterations=7, regularisation=0.25, rank=5, grid_step=0.1))
    assert "7 steps of FISTA" in found
    assert "weight 0.25" in found
    assert "to the 5 components" in found
    assert "at most 10 %" in found
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


def test_runs_that_were_treated_alike_share_a_paragraph():
    found = text(work(), work(), work("llr"))
    assert "k-space [1] of 2 runs" in found
    assert found.count("1 run more") == 1
    assert found.index("learned denoiser") < found.index("run more") < found.index("locally low")


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
