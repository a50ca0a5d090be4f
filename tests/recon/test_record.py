import pytest

from mri2qmap_bids.recon import record as record_module
from mri2qmap_bids.recon.record import Record


def test_times_of_a_stage_add_up_even_where_it_fails(monkeypatch):
    clock = iter([0.0, 2.0, 10.0, 13.0])
    monkeypatch.setattr(record_module.time, "perf_counter", lambda: next(clock))
    record = Record()
    with record.stage("solve"):
        pass
    with pytest.raises(ValueError, match="x"), record.stage("solve"):
        raise ValueError("x")
    assert record.seconds == {"solve": 5.0}


def test_a_stage_on_the_cpu_does_not_start_cuda(monkeypatch):
    cuda = record_module.torch.cuda
    monkeypatch.setattr(cuda, "is_available", lambda: True)
    monkeypatch.setattr(cuda, "is_initialized", lambda: False)
    monkeypatch.setattr(cuda, "synchronize", lambda: pytest.fail("CUDA was started"))
    with Record().stage("solve"):
        pass


def test_steps_of_a_later_call_replace_those_of_an_earlier_one():
    record = Record()
    first, second = record.watch("cg"), record.watch("cg")
    first({"residual": 1.0})
    second({"residual": 0.5})
    record.watch("admm")
    assert record.steps == {"cg": [{"residual": 0.5}], "admm": []}
