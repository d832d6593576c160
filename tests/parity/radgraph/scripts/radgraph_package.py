"""The package `radgraph` 0.1.18 on archives from a local folder, without a network; runs in `.venvs/radgraph`.

Two methods of tokenizers that transformers 5 removed are put back in their old meaning; the package is unchanged.
"""

import contextlib
import io
import os

os.environ["HF_HUB_OFFLINE"] = "1"
import torch
import transformers

_Base = transformers.PreTrainedTokenizerBase


def _encode_plus(self, text, text_pair=None, **options):
    if isinstance(text, list):
        options.setdefault("is_split_into_words", True)
    return self(text, text_pair=text_pair, **options)


def _with_special_tokens(self, a, b=None):
    ids = [self.cls_token_id, *a, self.sep_token_id]
    return ids if b is None else [*ids, *b, self.sep_token_id]


if not hasattr(_Base, "encode_plus"):
    _Base.encode_plus = _encode_plus
if not hasattr(_Base, "build_inputs_with_special_tokens"):
    _Base.build_inputs_with_special_tokens = _with_special_tokens


def load(cache: str, model_type: str, device: int = -1, threads: int = 1):
    """`RadGraph` on ``cache/model_type``; it prints, which is kept off the script's answer."""
    from radgraph import RadGraph

    torch.set_num_threads(threads)
    with contextlib.redirect_stdout(io.StringIO()):
        return RadGraph(model_type=model_type, model_cache_dir=cache, cuda=device)
