"""The command line that serves a judge's model with vLLM, with the flags that this judge relies on."""

from __future__ import annotations

import json
from collections.abc import Sequence


def serve_command(
    model: str,
    *,
    revision: str | None = None,
    served_name: str = "judge",
    host: str = "127.0.0.1",
    port: int = 8000,
    max_model_len: int = 16_384,
    gpus: int = 1,
    extra: Sequence[str] = (),
) -> list[str]:
    """The argument vector of `vllm serve` for `model` (hub id or path); `extra` flags come last and win.

    `gpus` is the tensor-parallel size of one replica; more replicas are more servers in `base_urls`.
    """
    command = ["vllm", "serve", model, "--served-model-name", served_name, "--host", host, "--port", str(port)]
    if revision:
        command += ["--revision", revision, "--tokenizer-revision", revision]
    # Instructions and worked examples take about 2,500 tokens, two long reports with their answer some 3,000.
    command += ["--max-model-len", str(max_model_len), "--tensor-parallel-size", str(gpus)]
    # The instructions and, in a group, the reference are computed once; the answers say how much was found.
    command += ["--enable-prefix-caching", "--enable-prompt-tokens-details"]
    # Without a named backend whitespace cannot be forbidden, and a weak model may emit blanks up to the limit.
    command += ["--structured-outputs-config", json.dumps({"backend": "guidance", "disable_any_whitespace": True})]
    # Else the model's own generation_config.json adds sampling parameters that no request and no manifest shows.
    command += ["--generation-config", "vllm"]
    return [*command, *extra]
