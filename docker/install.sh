#!/bin/sh
# The image's installation, in a script of its own so that docker/verify.sh can run the very same steps.
# usage: install.sh VENV [EXTRAS]    from the directory that holds pyproject.toml
# TORCH_INDEX: package index to take torch from (PyTorch's CPU index); empty: the default index, whose Linux
# wheels carry CUDA.
set -eu
venv=$1
extras=${2:-bertscore,offline,otel}

python3 -m venv "$venv"
pip() { "$venv/bin/python" -m pip --disable-pip-version-check --quiet "$@"; }

# torch first and alone: what comes after is then resolved against it, from the default index only.
if [ -n "${TORCH_INDEX:-}" ]; then
  pip install --no-deps --index-url "$TORCH_INDEX" -c constraints.txt torch
else
  pip install -c constraints.txt torch
fi
pip install -c constraints.txt ".[$extras]"
pip check
"$venv/bin/reward-service" version
# The compiled lexicon is kept beside Python's bytecode, so that no container compiles it when it starts.
env -u PYTHONDONTWRITEBYTECODE "$venv/bin/python" -c "from judges.rules.judge import RulesJudge; RulesJudge()"
