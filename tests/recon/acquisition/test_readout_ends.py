import torch

from mri2qmap_bids.recon.acquisition.readout_ends import readout_ends

LINE = torch.stack([torch.linspace(-1, 1, 9), torch.zeros(9)], 1)


def test_a_readout_ends_where_the_frame_changes():
    # There and back: no step is long.
    there_and_back = torch.cat([LINE, LINE.flip(0)])
    ends = readout_ends(there_and_back, torch.arange(18) // 9)
    assert torch.nonzero(ends).flatten().tolist() == [8]


def test_a_readout_ends_at_a_jump():
    ends = readout_ends(torch.cat([LINE, LINE, LINE]), torch.zeros(27, dtype=torch.int64))
    assert torch.nonzero(ends).flatten().tolist() == [8, 17]


def test_one_sample_has_no_end():
    assert readout_ends(LINE[:1], torch.zeros(1, dtype=torch.int64)).tolist() == []
