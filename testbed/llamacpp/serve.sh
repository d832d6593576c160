#!/usr/bin/env bash
# Serves a model with llama.cpp's own server on the CPU, until it is stopped: [MODEL=smollm2|qwen-coder] serve.sh [port]
set -euo pipefail
environment=${REWARD_LLAMACPP_ENV:-$HOME/.cache/reward-service/llama-cpp}
folder=$environment/${MODEL:-smollm2}
[ -e "$folder/model.gguf" ] || { echo "error: there is no $folder/model.gguf; run: testbed/llamacpp/make_environment.sh ${MODEL:-smollm2}" >&2; exit 1; }
exec "$environment/bin/python" "$(dirname "${BASH_SOURCE[0]}")/serve.py" "$folder/model.gguf" "${1:-8100}"
