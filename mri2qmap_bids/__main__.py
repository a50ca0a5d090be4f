"""``python -m mri2qmap_bids`` is ``mri2qmap``."""

import sys

from mri2qmap_bids.cli import main

if __name__ == "__main__":
    sys.exit(main())
