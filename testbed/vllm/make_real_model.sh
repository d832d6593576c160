#!/usr/bin/env bash
# Makes the folder of a model that can read, once: make_real_model.sh smollm2|qwen-coder. Kept beside the environment, in
# $REWARD_VLLM_ENV (default ~/.cache/reward-service/vllm-cpu); prints how the service finds a server that holds it.
set -euo pipefail
name=${1:?smollm2 or qwen-coder}
environment=${REWARD_VLLM_ENV:-$HOME/.cache/reward-service/vllm-cpu}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
case $name in smollm2 | qwen-coder) ;; *) echo "error: models that read are smollm2 and qwen-coder, not '$name'" >&2; exit 2 ;; esac
"$here/make_environment.sh"
exec 9>"$environment/$name.lock"
flock 9
[ -e "$environment/$name/revision" ] || "$environment/bin/python" "$here/make_real_model.py" "$name" "$environment/$name"
echo "REWARD_JUDGE_URLS=http://127.0.0.1:8100/v1 REWARD_JUDGE_MODEL=judge REWARD_JUDGE_REVISION=$(cat "$environment/$name/revision")"
