#!/usr/bin/env bash
# Builds .venvs/radgraph: the package radgraph 0.1.18, which the tests beside this script compare with.
#
#   tests/parity/radgraph/make_environment.sh
#
# torch is installed first and by pip alone, so that no resolver brings another. `requests` is a dependency that the
# package does not declare. nltk stays below 3.10, which took another engine for regular expressions: with it the
# package splits words with combining marks or signs like "cm²" otherwise than when its models were trained.
# A finished environment is left alone; FORCE=1 rebuilds it.
set -euo pipefail

root=$(cd "$(dirname "$0")/../../.." && pwd)
python=${PYTHON:-python3.11}
env=$root/.venvs/radgraph

stamp=$env/.made-$(cksum <"$0" | cut -d' ' -f1)
if [ -e "$stamp" ] && [ -z "${FORCE:-}" ]; then
  echo "radgraph: ready in $env"
  exit 0
fi

[ -x "$env/bin/python" ] || "$python" -m venv "$env"
pip() { "$env/bin/python" -m pip --disable-pip-version-check --quiet "$@"; }
pip install torch==2.13.0 -c "$root/constraints.txt"
pip install radgraph==0.1.18 requests -c <(grep -v '^nltk==' "$root/constraints.txt") "nltk<3.10"
rm -f "$env"/.made-*
touch "$stamp"
echo "radgraph: ready in $env"
