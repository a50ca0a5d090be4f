"""What steps load at their first use, a second in all: the server imports it last, while the program plans."""

import torch.fx.experimental.symbolic_shapes  # noqa: F401  torchsim imports it in its first simulation

from mri2qmap_bids.recon.encoding.compiled import load_machine_code

load_machine_code()
