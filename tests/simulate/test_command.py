"""The simulator's words as options in SI units."""

import numpy as np
import pytest

from mri2qmap_bids import tools
from mri2qmap_bids.errors import UsageError
from mri2qmap_bids.simulate.command import scan_options, study


def parsed(*words):
    return tools.build_parser().parse_args(["simulate", "nowhere", *words])


def test_lengths_times_and_angles_become_si():
    words = [
        "--fov",
        "200",
        "--slice-thickness",
        "4",
        "--slice-gap",
        "1",
        "--offset",
        "1",
        "2",
        "3",
    ]
    words += ["--oblique", "90", "0", "-45", "--inversion-time", "30", "--echo-time", "3"]
    options = scan_options(parsed(*words))
    assert options.fov == pytest.approx((0.2,))
    assert (options.slice_thickness, options.slice_gap) == pytest.approx((4e-3, 1e-3))
    assert options.offset == pytest.approx((1e-3, 2e-3, 3e-3))
    assert options.oblique == pytest.approx((np.pi / 2, 0, -np.pi / 4))
    assert options.sequence.inversion_time == pytest.approx(0.03)
    assert np.allclose(options.sequence.echo_time, 3e-3)
    assert options.raw_file.slice_thickness == pytest.approx(4e-3)
    assert scan_options(parsed("--inversion-time", "-1")).sequence.inversion_time is None


def test_a_matrix_of_slices_has_their_number_at_the_end():
    assert scan_options(parsed("--matrix", "24", "--slices", "3")).matrix == (24, 24, 3)
    assert scan_options(parsed("--matrix", "24", "20", "--slices", "3")).matrix == (24, 20, 3)
    solid = scan_options(parsed("--dimension", "3D", "--matrix", "12", "10", "8"))
    assert solid.matrix == (12, 10, 8) and solid.raw_file.slice_thickness is None


def test_files_say_which_phantom_is_meant():
    assert scan_options(parsed("--maps", "a", "b")).phantom == "maps"
    assert scan_options(parsed("--labels", "a")).phantom == "brainweb"
    for words in (["--labels", "a", "--maps", "a", "b"], ["--labels", "a", "--phantom", "maps"]):
        with pytest.raises(UsageError, match="must"):
            scan_options(parsed(*words))


def test_zero_is_a_value():
    assert scan_options(parsed("--noise", "0")).noise == 0
    with pytest.raises(UsageError, match="--frames"):
        scan_options(parsed("--frames", "0"))


def test_participants_and_sessions_are_counted_or_named():
    counted = study(parsed("--participants", "3", "--sessions", "2"))
    assert (counted.subjects, counted.sessions) == (["01", "02", "03"], ["1", "2"])
    named = study(parsed("--sub", "sub-7", "x", "--ses", "ses-a", "--acq", "acq-y", "--run", "2"))
    assert (named.subjects, named.sessions, named.acquisition) == (["7", "x"], ["a"], "y")
    for words in (["--sub", "a_b"], ["--run", "x"], ["--participants", "0"], ["--seed", "-1"]):
        with pytest.raises(UsageError, match=words[0]):
            study(parsed(*words))
