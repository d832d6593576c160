"""The tokens of chat templates: the one list that every pattern against them is built from.

The patterns differ on purpose, and say why where they are built: a tokenizer leaves a few tokens at the ends of a
completion, a candidate may write any of them. Names are spelt as tokenizers spell them.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Template(NamedTuple):
    """How a chat template opens the turns of its two speakers."""

    user: str
    assistant: str


TEMPLATES: Final = (
    Template("<|im_start|>user", "<|im_start|>assistant\n"),  # ChatML
    Template("<|start_header_id|>user", "<|start_header_id|>assistant<|end_header_id|>"),  # Llama 3
    Template("[INST]", "[/INST]"),  # Mistral
    Template("<start_of_turn>user", "<start_of_turn>model\n"),  # Gemma
    Template("USER:", "ASSISTANT:"),  # Vicuna
)
ROLES: Final = ("system", "user", "assistant")
GEMMA_ROLES: Final = ("system", "user", "model")
HEADERS: Final = ("im_start", "start_header_id", "start")
"""Between ``<|`` and ``|>``, before a role."""

# Between angle brackets, some also with a slash.
SEQUENCE: Final = ("s", "bos", "eos", "pad", "unk")
TURNS: Final = ("start_of_turn", "end_of_turn")
START_OF_IMAGE: Final = ("start_of_image",)
CONTENT: Final = ("think", "thinking", "tool_call", "turn", "channel", "message")
WRAPPERS: Final = ("answer", "report")
"""An output format that a prompt may ask for."""
VOCABULARY: Final = (
    *("mask", "sep", "cls", "sop", "eop", "end_of_utterance"),
    *("end_of_image", "image", "image_soft_token", "img", "IMG_CONTEXT", "fake_token_around_image"),
    *(r"loc\d{1,4}", r"extra_id_\d{1,3}", r"unused\d{1,4}", "0x[0-9a-f]{2}"),
)

# Between square brackets.
INSTRUCTION: Final = ("INST",)
TOOLS: Final = ("SYSTEM_PROMPT", "AVAILABLE_TOOLS", "TOOL_CALLS")
ENDS: Final = ("CLS", "SEP", "PAD")
OTHERS: Final = ("MASK", "UNK", "BOS", "EOS", "IMG", "gMASK", "sMASK")


def either(*groups: tuple[str, ...]) -> str:
    """A regular expression for any of the names (those with a number in them are expressions themselves)."""
    return "(?:" + "|".join(name for group in groups for name in group) + ")"
