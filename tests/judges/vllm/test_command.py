"""The serving command holds what the judge relies on; that vLLM accepts it is tested where vLLM is installed."""

from __future__ import annotations

import itertools

from judges.vllm.command import serve_command


def test_the_command_turns_on_what_the_judge_relies_on() -> None:
    command = serve_command("org/model", revision="abc", gpus=2, extra=("--max-num-seqs", "512"))
    assert command[:3] == ["vllm", "serve", "org/model"]
    given = dict(itertools.pairwise(command))
    assert given["--revision"] == given["--tokenizer-revision"] == "abc"
    assert given["--tensor-parallel-size"] == "2"
    assert given["--generation-config"] == "vllm"  # no sampling parameters that no manifest shows
    assert '"disable_any_whitespace": true' in given["--structured-outputs-config"]
    assert {"--enable-prefix-caching", "--enable-prompt-tokens-details"} <= set(command)
    assert command[-2:] == ["--max-num-seqs", "512"]
    assert "--revision" not in serve_command("/weights")
