"""The transform file: ITK reads the motion that was written."""

import numpy as np
import pytest
from helpers import heads

from mri2qmap_bids.dataset.transform import describe_placement, itk_text, transform_path


def test_itk_reads_the_inverse_motion_in_its_own_axes_and_unit(tmp_path):
    import SimpleITK as sitk

    matrix = heads.motion((20, -35, 70), (0.03, -0.02, 0.01), np.array([0.01, 0.05, -0.04]))
    path = tmp_path / "x_xfm.txt"
    path.write_text(itk_text(matrix))
    transform = sitk.ReadTransform(str(path))
    point = np.array([0.04, -0.03, 0.07, 1.0])  # RAS [m]
    to_lps = np.array([-1e3, -1e3, 1e3])
    back = transform.TransformPoint((to_lps * (matrix @ point)[:3]).tolist())
    assert np.allclose(back, to_lps * point[:3], atol=1e-9)


def test_its_name_has_all_entities_of_the_run():
    entities = {"sub": "01", "ses": "a", "acq": "x", "run": "1"}
    name = transform_path(entities, ".json").as_posix()
    assert name == "sub-01/ses-a/anat/sub-01_ses-a_acq-x_run-1_from-MRF_to-T1w_mode-image_xfm.json"


@pytest.mark.parametrize("spaces", [("native",), ("native", "T1w")])
def test_without_a_place_the_maps_say_nothing_of_it(spaces):
    assert describe_placement(None, {"sub": "01"}, spaces) == {}
