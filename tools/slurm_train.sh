#!/usr/bin/env bash
# Trains on a Slurm cluster, from any directory:
#   slurm_train.sh PARTITION JOB_NAME CONFIG WORK_DIR [arguments of train.py]
# (GPUS, GPUS_PER_NODE, CPUS_PER_TASK and SRUN_ARGS as in mmdet3d's; GRES= asks for no GPU, then GPUS counts processes).
# mmdet3d's own launcher starts `tools/train.py` relative to the working directory; this one names our wrapper in full.
set -euo pipefail
if [ $# -lt 4 ]; then echo "usage: $0 PARTITION JOB_NAME CONFIG WORK_DIR [arguments of train.py]" >&2; exit 2; fi
source "$(dirname "${BASH_SOURCE[0]}")/_python.sh"
python "$TOOLS/_mmdet3d.py" train.py >/dev/null  # without mmdet3d: one clear line
GRES="${GRES-gpu:${GPUS_PER_NODE:-8}}"
PARTITION=$1 JOB_NAME=$2 CONFIG=$3 WORK_DIR=$4
shift 4
read -r -a EXTRA <<< "${SRUN_ARGS:-}"
set -x
exec srun -p "$PARTITION" --job-name="$JOB_NAME" ${GRES:+"--gres=$GRES"} --ntasks="${GPUS:-8}" \
    --ntasks-per-node="${GPUS_PER_NODE:-8}" --cpus-per-task="${CPUS_PER_TASK:-5}" --kill-on-bad-exit=1 \
    ${EXTRA[@]+"${EXTRA[@]}"} python -u "$TOOLS/train.py" "$CONFIG" --work-dir="$WORK_DIR" --launcher=slurm "$@"
