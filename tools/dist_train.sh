#!/usr/bin/env bash
# Trains on several GPUs, or without CUDA in several CPU processes, from any directory:
#   dist_train.sh CONFIG PROCESSES [arguments of train.py]
# (NNODES, NODE_RANK, PORT and MASTER_ADDR as mmdet3d's dist_train.sh has them). See docs/distributed.md.
set -euo pipefail
if [ $# -lt 2 ]; then echo "usage: $0 CONFIG PROCESSES [arguments of train.py]" >&2; exit 2; fi
source "$(dirname "${BASH_SOURCE[0]}")/_launch.sh"
CONFIG=$1 PROCESSES=$2
shift 2
launch "$PROCESSES" train.py "$CONFIG" --launcher pytorch "$@"
