#!/usr/bin/env bash
# Builds one trainer's environment in .venvs/NAME: the trainer's own wheel beside the reward client.
#
#   tests/trainers/make_environment.sh trl|openrlhf|verl|areal|skyrl
#
# Always torch 2.13.0 and the project's constraints, so that no resolver brings a second torch. The trainers other
# than TRL are installed without their dependencies (they want CUDA-only packages); what their reward path imports
# is named here. A finished environment is left alone; FORCE=1 rebuilds it.
set -euo pipefail

name=${1:?usage: make_environment.sh trl|openrlhf|verl|areal|skyrl}
root=$(cd "$(dirname "$0")/../.." && pwd)
python=${PYTHON:-python3.11}
env=$root/.venvs/$name

case $name in
  trl)      wheel="" packages="trl==1.16.0 transformers accelerate datasets tokenizers" torch=1 ;;
  openrlhf) wheel=openrlhf==0.11.2 packages="aiohttp ray transformers" torch=1 ;;
  verl)     wheel=verl==0.9.1 packages="ray omegaconf hydra-core tensordict orjson codetiming transformers aiohttp datasets" torch=1 ;;
  areal)    wheel=areal==1.0.4 packages=colorlog torch=0 ;;
  skyrl)    wheel=skyrl-gym==0.4.0 packages="omegaconf pandas requests func_timeout" torch=0 ;;
  *) echo "unknown trainer: $name" >&2; exit 2 ;;
esac

stamp=$env/.made-$(cksum <"$0" | cut -d' ' -f1)
if [ -e "$stamp" ] && [ -z "${FORCE:-}" ]; then
  echo "$name: ready in $env"
  exit 0
fi

[ -x "$env/bin/python" ] || "$python" -m venv "$env"
pip() { "$env/bin/python" -m pip --disable-pip-version-check --quiet "$@"; }
# A wheel without its dependencies makes pip complain about them; that is meant, and not worth a page of errors.
bare() { pip install --no-deps "$@" 2>/dev/null || pip install --no-deps "$@"; }
if [ "$torch" = 1 ]; then pip install torch==2.13.0 -c "$root/constraints.txt"; fi
if [ -n "$packages" ]; then
  # shellcheck disable=SC2086  # a list of requirements
  pip install $packages -c "$root/constraints.txt"
fi
pip install "httpx" -c "$root/constraints.txt"
bare -e "$root/client"
if [ -n "$wheel" ]; then bare "$wheel"; fi
rm -f "$env"/.made-*
touch "$stamp"
echo "$name: ready in $env"
