#!/usr/bin/env bash
# Tests on several GPUs, or without CUDA in several CPU processes, from any directory:
#   dist_test.sh CONFIG CHECKPOINT PROCESSES [arguments of test.py]
# (NNODES, NODE_RANK, PORT and MASTER_ADDR as mmdet3d's dist_test.sh has them). See docs/distributed.md.
set -euo pipefail
if [ $# -lt 3 ]; then echo "usage: $0 CONFIG CHECKPOINT PROCESSES [arguments of test.py]" >&2; exit 2; fi
source "$(dirname "${BASH_SOURCE[0]}")/_launch.sh"
CONFIG=$1 CHECKPOINT=$2 PROCESSES=$3
shift 3
launch "$PROCESSES" test.py "$CONFIG" "$CHECKPOINT" --launcher pytorch "$@"
