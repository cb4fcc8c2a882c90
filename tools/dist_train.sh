#!/usr/bin/env bash
# mmdet3d's own dist_train.sh, from any directory: dist_train.sh CONFIG GPUS [arguments of train.py]
# (NNODES, NODE_RANK, PORT and MASTER_ADDR as there).
set -euo pipefail
if [ $# -lt 2 ]; then echo "usage: $0 CONFIG GPUS [arguments of train.py]" >&2; exit 2; fi
source "$(dirname "${BASH_SOURCE[0]}")/_python.sh"
LAUNCHER="$(python "$TOOLS/_mmdet3d.py" dist_train.sh)"
exec bash "$LAUNCHER" "$@"
