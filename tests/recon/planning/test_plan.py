"""Plans and the cost of their stages."""

from mri2qmap_bids.recon.planning.plan import Plan, Stage


def test_a_plan_has_the_peak_of_its_stages_and_the_sum_of_their_times():
    plan = Plan(stages=(Stage("a", 1e9, 3e9, 100.0), Stage("b", 2e9, 1e9, 200.0)))
    assert (plan.host, plan.device, plan.seconds) == (2e9, 3e9, 300.0)
    assert "about 3.0 GB on the GPU, 2.0 GB and 5 min" in str(plan)
    assert (Plan().host, Plan().device, Plan().seconds) == (0, 0, 0)
    assert "non-uniform Fourier transforms" in str(Plan("transforms", by_blocks=True))
    assert "blocks" not in str(Plan("transforms", by_blocks=True))
