import numpy as np

from mri2qmap_bids.simulate.tissue import BRAINWEB_TISSUES, MNI152_TISSUES, of_subject


def test_tissues_are_physical_and_their_labels_are_those_of_the_three_pure_ones():
    for tissues in (MNI152_TISSUES, BRAINWEB_TISSUES):
        assert tissues[0].m0 == 0 and tissues[0].label == 0
        for tissue in tissues[1:]:
            assert 0 < tissue.t2 < tissue.t1 and 0 <= tissue.m0 <= 1
    assert [tissue.label for tissue in MNI152_TISSUES] == [0, 1, 2, 3]
    assert len({tissue.name for tissue in BRAINWEB_TISSUES}) == len(BRAINWEB_TISSUES) == 12


def test_subjects_differ_by_three_per_cent_and_never_by_more_than_six():
    times = np.array(
        [
            [(t.t1, t.t2) for t in of_subject(MNI152_TISSUES, np.random.default_rng(seed))]
            for seed in range(400)
        ]
    )
    logs = np.log(times / [(t.t1, t.t2) for t in MNI152_TISSUES])
    assert np.abs(logs).max() <= 0.06 + 1e-9
    assert 0.025 < logs.std() < 0.032
    assert abs(logs.mean()) < 0.003


def test_a_subject_keeps_names_labels_and_empty_tissues():
    subject = of_subject(BRAINWEB_TISSUES, np.random.default_rng(0))
    for one, other in zip(subject, BRAINWEB_TISSUES, strict=True):
        assert (one.name, one.label) == (other.name, other.label)
        assert (one.m0 == 0) == (other.m0 == 0) and one.m0 <= 1
