#!/usr/bin/env bash
# Builds .venvs/ray: the project with its extra `ray`, which the shared environment does without. A finished environment
# is left alone; FORCE=1 rebuilds it.
set -euo pipefail

root=$(cd "$(dirname "$0")/../../.." && pwd)
python=${PYTHON:-python3.11}
env=$root/.venvs/ray
stamp=$env/.made-$(cat "$0" "$root/pyproject.toml" "$root/constraints.txt" | cksum | cut -d' ' -f1)
if [ -e "$stamp" ] && [ -z "${FORCE:-}" ]; then
  echo "ray: ready in $env"
  exit 0
fi

[ -x "$env/bin/python" ] || "$python" -m venv "$env"
pip() { "$env/bin/python" -m pip --disable-pip-version-check --quiet "$@"; }
pip install torch==2.13.0 -c "$root/constraints.txt"
pip install ray==2.60.0 -e "$root[bertscore,offline,evaluation,ray]" -c "$root/constraints.txt"
rm -f "$env"/.made-*
touch "$stamp"
echo "ray: ready in $env"
