# Sourced by dist_train.sh and dist_test.sh: `launch PROCESSES SCRIPT [arguments]` starts our wrapper of mmdet3d's
# SCRIPT on every rank of this machine. mmdet3d's own launchers name train.py without the wrapper, split arguments at
# spaces, and stand between a signal and the processes. Where a rank fails, torch's launcher ends the others; a signal to
# it reaches them (_ranks.py).
source "$(dirname "${BASH_SOURCE[0]}")/_python.sh"

free_port() {
    python -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

launch() {
    local processes=$1 script=$2
    shift 2
    python "$TOOLS/_mmdet3d.py" "$script" >/dev/null  # without mmdet3d: one clear line
    # A port of its own where one machine trains alone: two runs on it do not meet.
    local port="${PORT:-$([ "${NNODES:-1}" = 1 ] && free_port || echo 29500)}"
    export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"  # what torch's launcher sets, without its warning
    exec python "$TOOLS/_ranks.py" --nnodes="${NNODES:-1}" --node_rank="${NODE_RANK:-0}" \
        --master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="$port" --nproc_per_node="$processes" \
        --max_restarts=0 --monitor_interval=1 "$TOOLS/$script" "$@"
}
