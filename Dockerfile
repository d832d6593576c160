# syntax=docker/dockerfile:1
# Two targets, `cpu` (the default, last) and `cuda`; the same code, another torch.
#   docker build -t reward-service:cpu .
#   docker build -t reward-service:cuda --target cuda .
# Weights: MiniLM (profile `embedded`) is inside. Others come by a volume on /models, or are baked in:
#   --build-arg BAKE_MODELS="distilroberta-base"      (hub ids, each optionally @revision)
ARG PYTHON_IMAGE=python:3.11.13-slim-bookworm

FROM ${PYTHON_IMAGE} AS source
ENV PIP_NO_CACHE_DIR=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /src
COPY . .

FROM source AS install-cpu
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ARG EXTRAS=bertscore,offline,otel
RUN TORCH_INDEX="$TORCH_INDEX" docker/install.sh /opt/reward "$EXTRAS"

FROM source AS install-cuda
ARG EXTRAS=bertscore,offline,otel
RUN TORCH_INDEX="" docker/install.sh /opt/reward "$EXTRAS"

FROM install-cpu AS weights
ARG BAKE_MODELS=""
RUN mkdir -p /models && for model in $BAKE_MODELS; do \
      case "$model" in *@*) revision=${model##*@} ;; *) revision=main ;; esac; \
      HF_HOME=/models /opt/reward/bin/hf download "${model%@*}" --revision "$revision" \
        --exclude "*.msgpack" "*.h5" "*.ot" "*.onnx" "*.bin" || exit 1; \
    done

FROM ${PYTHON_IMAGE} AS runtime
RUN groupadd --gid 10001 reward && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp reward
# PYTHONSAFEPATH: no module is ever imported from the working directory.
# HOME, USER: libraries look for both when they are imported, and an orchestrator may choose a user id without them.
# HF_HUB_OFFLINE: weights are what somebody has put into /models, never what a hub serves today.
ENV PATH=/opt/reward/bin:$PATH \
    HOME=/tmp \
    USER=reward \
    PYTHONSAFEPATH=1 \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HF_HOME=/models \
    HF_HUB_OFFLINE=1 \
    REWARD_HOST=0.0.0.0 \
    REWARD_PORT=8000
WORKDIR /tmp
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
# Nothing is written but below /tmp: run it with a read-only root and a tmpfs there.
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s --retries=3 \
  CMD ["python", "-c", "import os, urllib.request as r; r.build_opener(r.ProxyHandler({})).open('http://127.0.0.1:' + os.environ['REWARD_PORT'] + '/ready', timeout=4)"]
ENTRYPOINT ["reward-service"]
CMD ["serve"]

FROM runtime AS cuda
# torch brings the CUDA libraries; the driver comes from the host through its container toolkit.
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
COPY --from=install-cuda /opt/reward /opt/reward
COPY --from=weights --chown=10001:10001 /models /models

FROM runtime AS cpu
COPY --from=install-cpu /opt/reward /opt/reward
COPY --from=weights --chown=10001:10001 /models /models
