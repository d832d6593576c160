"""Chat markup around a completion: where the prompt ends, and what the tokenizer and the thinking left.

A prompt scored as part of a report would train silently on nonsense, so a border that is not certain is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from judges import chat_tokens as tokens
from reward_service.errors import InvalidRequest
from reward_service.text import answer

# Narrower than what the normaliser removes: it applies whatever the profile's normaliser is, so it may take away
# nothing but what tokenizers put at the ends.
_TOKEN = (
    rf"(?:<\|[^|<>]{{1,40}}\|>|</?{tokens.either(tokens.SEQUENCE, tokens.TURNS)}>|\[{tokens.either(tokens.ENDS)}\])"
)
_TOKENS = re.compile(_TOKEN)
_TOKEN_AT_END = re.compile(_TOKEN + r"\Z")
_LONGEST_TOKEN = 48
_BLANK = re.compile(r"\s*")
_THINKING = re.compile(r".*?</think>", re.DOTALL)  # some templates put the opening tag into the prompt


def split_query(query: str, prompt: str | None, param: str) -> tuple[str, str]:
    """Prompt and completion of a decoded rollout: by the exact prompt, else after the assistant marker.

    That is the first one after the first user turn: whatever follows may be the policy's own, and a marker that it
    writes must not move the border. With a later user turn nobody can tell whose it is. Raises `InvalidRequest`
    (``response_not_isolated``) rather than guess.
    """
    if prompt:
        begin = query.find(prompt)
        if begin >= 0 and not _TOKENS.sub("", query[:begin]).strip():  # only BOS and padding may precede it
            return prompt, query[begin + len(prompt) :]
    turns = [template.user for template in tokens.TEMPLATES]
    markers = [template.assistant for template in tokens.TEMPLATES]
    asked = min((at for turn in turns if (at := query.find(turn)) >= 0), default=0)
    begins = ((at, marker) for marker in markers if (at := query.find(marker, asked)) >= 0)
    if first := min(begins, default=None):
        end = first[0] + len(first[1])
        if not any(turn in query[end:] for turn in turns):
            return query[:end], query[end:]
    raise InvalidRequest(
        "The report cannot be told from the prompt: the text does not begin with the given prompt, and it has no "
        "assistant turn, or a user turn after it. Send 'prompts' as they were tokenized.",
        code="response_not_isolated",
        param=param,
    )


def clean(completion: str) -> str:
    """A completion without special tokens at its ends, padding, a closed think block and what `answer.start` cuts."""
    end = len(completion)
    while True:
        while end and completion[end - 1].isspace():
            end -= 1
        token = _TOKEN_AT_END.search(completion, max(0, end - _LONGEST_TOKEN), end)
        if token is None:
            break
        end = token.start()
    thinking = _THINKING.match(completion, 0, end)
    start = _BLANK.match(completion, thinking.end() if thinking else 0, end).end()  # type: ignore[union-attr]  # matches
    while token := _TOKENS.match(completion, start, end):  # one pattern for all would remember every token it passed
        start = _BLANK.match(completion, token.end(), end).end()  # type: ignore[union-attr]
    said = completion[start:end]
    return said[answer.start(said) :]


def without_tokens(text: str) -> str:
    """The words of a text with single spaces between them; special tokens count as spaces."""
    return " ".join(_TOKENS.sub(" ", text).split())


def chat_text(prompt: Any) -> str:
    """A prompt given as text or as chat messages: their text contents, one a line. Whatever else it is, no text."""
    if isinstance(prompt, str):
        return prompt
    parts: list[Any] = []
    for message in prompt if isinstance(prompt, list) else ():
        content = message.get("content") if isinstance(message, Mapping) else None
        pieces = content if isinstance(content, list) else [{"text": content}]
        parts += [piece.get("text") for piece in pieces if isinstance(piece, Mapping)]
    return "\n".join(part for part in parts if isinstance(part, str))
