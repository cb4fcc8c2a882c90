#!/usr/bin/env bash
# mmdet3d's own dist_test.sh, from any directory: dist_test.sh CONFIG CHECKPOINT GPUS [arguments of test.py]
# (NNODES, NODE_RANK, PORT and MASTER_ADDR as there).
set -euo pipefail
if [ $# -lt 3 ]; then echo "usage: $0 CONFIG CHECKPOINT GPUS [arguments of test.py]" >&2; exit 2; fi
source "$(dirname "${BASH_SOURCE[0]}")/_python.sh"
LAUNCHER="$(python "$TOOLS/_mmdet3d.py" dist_test.sh)"
exec bash "$LAUNCHER" "$@"
