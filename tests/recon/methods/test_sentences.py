from mri2qmap_bids.recon.methods.least_squares import LeastSquaresSettings
from mri2qmap_bids.recon.methods.sentences import (
    data_step_text,
    error_text,
    iterations_text,
    least_squares_text,
    penalty_text,
    weights_text,
)


def test_numbers_are_those_that_are_given():
    settings = LeastSquaresSettings(density_steps=31, steps=32, replica_steps=33, weight=0.34)
    text = least_squares_text(settings)
    assert "At most 31 steps" in text and "at most 32 steps" in text and "weight 0.34" in text
    assert "at most 33 conjugate" in error_text(settings)
    assert "at most 35 preconditioned" in data_step_text(35)


def test_what_has_no_weight_is_not_told():
    assert penalty_text("total variation", 0.0, "the noise", 40) == ""
    text = penalty_text("total variation", 0.5, "the noise", 40)
    assert "total variation replaced" in text and "weight 0.5 relative to the noise" in text
    assert "no smoothness term" in least_squares_text(LeastSquaresSettings(weight=0.0))


def test_one_iteration_is_singular():
    assert iterations_text(1) == "one iteration"
    assert iterations_text(2) == "at most 2 iterations"


def test_weights_are_named_without_their_folder():
    assert weights_text({"denoiser": "/home/me/own.safetensors"}) == "weights own.safetensors"
    assert weights_text({}) == weights_text({"denoiser": None}) == "weights of the package"
