#!/bin/sh
# What wants a GPU, in parts of a minute or two, the most telling first; each part prints as it ends and has
# a file of its own, so nothing is lost if the machine goes away.
#
#   sh benchmarks/speed/gpu.sh OUT [SECONDS in all, default 800] [PYTHON]
#
# DEVICE=cpu MATRIX=32 SMALL=24 tries the same parts on a CPU.
set -u
OUT=$1
LIMIT=${2:-800}
PYTHON=${3:-python}
DEVICE=${DEVICE:-cuda}
MATRIX=${MATRIX:-220}
SMALL=${SMALL:-112}
END=$(($(date +%s) + LIMIT))
mkdir -p "$OUT"

# part NAME SECONDS COMMAND...: run within its own limit and what remains of that in all.
part() {
    name=$1 most=$2
    shift 2
    remaining=$((END - $(date +%s)))
    if [ "$remaining" -lt 5 ]; then
        echo "== $name: not begun, no time remains" | tee "$OUT/$name.txt"
        return
    fi
    [ "$most" -gt "$remaining" ] && most=$remaining
    begin=$(date +%s)
    # The exit status of the command, not of tee.
    { timeout "$most" "$@" 2>&1; echo "exit status $?"; } | tee "$OUT/$name.txt"
    echo "== $name: $(($(date +%s) - begin)) s of at most $most"
}

part device 30 "$PYTHON" -c "import torch; print(torch.__version__, torch.cuda.get_device_name() if torch.cuda.is_available() else 'CPU')"
part normal 90 "$PYTHON" -m benchmarks.speed.normal "$OUT/normal.md" --device "$DEVICE"
# Simulated once for all memory limits; a line of the table for each, the whole GPU first.
part full_size 420 "$PYTHON" -m benchmarks.speed.full_size "$OUT/full_size.md" --device "$DEVICE" --matrix "$MATRIX" \
    --gpu-mem 78 24 16 12
part two_millimetres 60 "$PYTHON" -m benchmarks.speed.full_size "$OUT/two_millimetres.md" --device "$DEVICE" --matrix "$SMALL"
part peers 90 env BENCHMARK_DEVICE="$DEVICE" "$PYTHON" -m benchmarks.speed.peers "$OUT/peers.md" --engines mri2qmap
part tests 150 "$PYTHON" -m pytest -q -m gpu tests/recon
