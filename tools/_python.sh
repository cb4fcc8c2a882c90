# Sourced by the launchers: puts the Python to use first on the PATH as `python`, since mmdet3d's launchers call that.
# It is the checkout's .venv, unless another environment is active (conda's base does not count) or there is no .venv.
TOOLS="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
if [ -z "${VIRTUAL_ENV:-}" ] && [ "${CONDA_DEFAULT_ENV:-base}" = base ] && [ -x "$TOOLS/../.venv/bin/python" ]; then
    PATH="$(cd "$TOOLS/../.venv/bin" && pwd):$PATH"
    export PATH
fi
if ! command -v python >/dev/null; then
    echo "there is no python on the PATH; run \`make setup\` in the checkout or activate your mmdet3d environment" >&2
    exit 1
fi
