#!/bin/sh
# Everything that wants a GPU, in one command: tests, the subspace problem, the whole scan under
# 80, 24, 16 and 12 GB. Tables go to the folder given.
#
#   sh benchmarks/speed/gpu.sh benchmarks/speed/gpu [python]
set -eu
OUT=$1
PYTHON=${2:-python}
mkdir -p "$OUT"
"$PYTHON" -c "import torch, cufinufft; print(torch.cuda.get_device_name())" | tee "$OUT/device.txt"
"$PYTHON" -m pytest -q -m gpu tests 2>&1 | tee "$OUT/tests.txt"
BENCHMARK_DEVICE=cuda "$PYTHON" -m benchmarks.speed.peers "$OUT/peers.md" --engines mri2qmap
"$PYTHON" -m benchmarks.speed.full_size "$OUT/full_size.md" --device cuda --gpu-mem 80 24 16 12
