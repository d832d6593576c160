"""Variants of the LLM judge's prompts for `benchmarks.judge_prompts`: what each one changes, and nothing else.

A variant is put in place of the shipped prompt for as long as `applied` is open. The hint is what the rules judge reads
in a report, in plain words: "moderate" and "left" stand beside the finding, a denial is "no", a doubt "possible".
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any, Final, Literal, NamedTuple
from unittest import mock

import orjson

from judges.rules import reading
from judges.vllm import judge as product
from judges.vllm import prompt, questions
from judges.vllm.letters import Question
from judges.vllm.prompt import NumberedPair
from judges.vllm.settings import Prefill

Protocol = Literal["json", "statements"]
SHIPPED: Final = "shipped"
WEAK: Final = ("- comparison_added:", "- comparison_omitted:", "Significant means:")
"""Beginnings of the lines of the rubric that ask for what this model cannot tell: kinds of change, and significance."""
_HINTED: Final = (
    "A program that looks words up has read both reports. What it found stands below each of them, after \"Program:\". "
    "Where it names other findings, sides or grades in the two reports, look there for an error; it may be wrong.\n"
)  # fmt: skip
_HINTED_STATEMENT: Final = (
    " A program that looks words up has read both. What it found stands after \"Program:\"; it may be wrong."
)  # fmt: skip
_TWO: Final = {
    "B: the report says something else about it: another side, place, size, grade or change over time, or present instead of absent.\n"
    "C: the report does not mention it.": "B: the report does not say so: it does not mention it, or says something else about it: another side, place, size, grade or "
    "change over time, or present instead of absent."
}
_NOTATION: Final = re.compile(r"(?P<mark>[-~0?]?)(?P<name>@?\w+)(?P<rest>.*)")
_DETAIL: Final = re.compile(r"[:^@#%=]|(?<!\d)\.")
_SIZE: Final = re.compile(r"(#[\d.]+)")
_STANDS_FOR: Final = {"": "", "?": "possible ", "-": "no ", "~": "in part no ", "0": "no "}


class Variant(NamedTuple):
    """One prompt to measure."""

    protocol: Protocol
    name: str
    what: str
    examples: slice = slice(None)
    """Which of the shipped worked examples are shown, by position."""
    without: tuple[str, ...] = ()
    """Beginnings of the lines of the rubric that are left out; of `json`."""
    two_letters: bool = False
    """Whether "says otherwise" and "does not mention it" are one letter; of `statements`."""
    hint: bool = False
    """Whether what the rules judge reads in both reports is shown."""
    prefill: Prefill = "equal"
    """The setting of `statements`."""


VARIANTS: Final = (
    Variant("statements", SHIPPED, "as shipped: nine examples, three letters"),
    Variant("statements", "no-examples", "no examples", examples=slice(0)),
    Variant("statements", "two-letters", "two letters: said, or not", two_letters=True),
    Variant(
        "statements", "prefill-rules", "as shipped, not asked about what the rules judge reads alike", prefill="rules"
    ),
    Variant("statements", "hint", "what the rules judge reads in report and statement", hint=True),
    Variant("json", SHIPPED, "as shipped: seven worked examples"),
    Variant("json", "no-examples", "no worked examples", examples=slice(0)),
    Variant("json", "half-examples", "three worked examples: the second, fourth and sixth", examples=slice(1, None, 2)),
    Variant("json", "short-rubric", "without comparisons and significance in the rubric", without=WEAK),
    Variant("json", "hint", "what the rules judge reads in both reports", hint=True),
)


def find(protocol: Protocol, name: str) -> Variant:
    """Raises `LookupError`."""
    return next(one for one in VARIANTS if (one.protocol, one.name) == (protocol, name))


@functools.lru_cache(maxsize=4096)
def hint(text: str) -> str:
    """One line with what the rules judge reads in a text."""
    reader = reading.shipped()
    found = [_plain(entry) for entry in reading.notation(reader.lexicon, reader.read(text))]
    return f"Program: {'; '.join(found) or 'nothing'}\n"


def _plain(entry: str) -> str:
    """An entry of `reading.notation` in words: ``?edema:left.mild`` is "possible edema (left, mild)"."""
    match = _NOTATION.fullmatch(entry)
    assert match is not None, entry
    name = match["name"].lstrip("@").replace("_", " ")
    details = ", ".join(part.replace("_", " ") for part in _DETAIL.split(_SIZE.sub(r"\1 mm", match["rest"])) if part)
    return _STANDS_FOR[match["mark"]] + name + (f" ({details})" if details else "")


@contextmanager
def applied(variant: Variant) -> Iterator[None]:
    """The variant in place of the shipped prompt."""
    with ExitStack() as stack:
        for where, name, value in _changes(variant):
            stack.enter_context(mock.patch.object(where, name, value))
        questions.digest.cache_clear()
        stack.callback(questions.digest.cache_clear)
        yield


def digest(variant: Variant) -> str:
    """Of the prompt that the variant makes; what was measured with another one is not this variant's."""
    with applied(variant):
        said = prompt.instructions("findings") if variant.protocol == "json" else questions.digest()
    return hashlib.sha256(orjson.dumps([said, variant.hint, variant.prefill])).hexdigest()[:12]


def _changes(variant: Variant) -> list[tuple[Any, str, Any]]:
    """What is replaced: object, attribute, value."""
    if variant.protocol == "json":
        read = functools.partial(_read_hinted, prompt.read_pair) if variant.hint else prompt.read_pair
        system = system_message(variant)
        return [(prompt, "instructions", lambda *_: system), (product, "read_pair", read)]
    changes: list[tuple[Any, str, Any]] = []
    if variant.hint:
        changes += [(questions, "show_report", _show_report), (questions, "_message", _message)]
    if variant.examples != slice(None) or variant.two_letters or variant.hint:
        changes.append((questions, "instructions", functools.partial(_turns, variant)))
    return changes


# --- json -----------------------------------------------------------------------------------------------------------


@functools.cache
def _shipped_parts() -> tuple[str, str]:
    """The shipped system message up to the worked examples, and the word that leads to them."""
    head, word, _ = prompt.instructions("findings").partition("\nWorked examples\n")
    return head, word.strip()


def system_message(variant: Variant) -> str:
    """The system message of `json`; that of the shipped variant is the shipped one."""
    head, lead = _shipped_parts()
    lines = [line for line in head.splitlines(keepends=True) if not line.startswith(variant.without or ("\0",))]
    parts = ["".join(lines) + ("\n" + _HINTED if variant.hint else "")]
    read = functools.partial(_read_hinted, prompt.read_pair) if variant.hint else prompt.read_pair
    examples = prompt.examples("findings")[variant.examples]
    parts += [lead] * bool(examples)
    for number, example in enumerate(examples, 1):
        pair = read(example["candidate"], example["reference"], example["prior"], 60)
        parts.append(f"Example {number}\n{pair.text}{orjson.dumps(example['answer']).decode()}\n")
    return "\n".join(parts)


def _read_hinted(
    read: Callable[..., NumberedPair], candidate: str, reference: str, prior: str | None, limit: int
) -> NumberedPair:
    """The pair with a hint below each of its reports; that of the reference is in the prefix of its group."""
    pair = read(candidate, reference, prior, limit)
    head = pair.reference.text
    block, mark, closing = pair.text[len(head) :].rpartition(f"[END CANDIDATE {pair.reference.key}]\n")
    first, second = hint(" ".join(pair.reference.shown)), hint(" ".join(pair.shown))
    return replace(pair, text=f"{head}{first}{block}{mark}{second}{closing}")


# --- statements -----------------------------------------------------------------------------------------------------


def _turns(variant: Variant, question: Question) -> tuple[Mapping[str, str], ...]:
    """The messages before the one that asks, made anew from the shipped data."""
    asked = _asked()[question.name]
    system, examples = asked["system"], asked["examples"][variant.examples]
    if variant.two_letters and question is Question.SAID:
        for old, new in _TWO.items():
            assert old in system
            system = system.replace(old, new)
        examples = [[report, text, letter.replace("C", "B")] for report, text, letter in examples]
    messages = [{"role": "system", "content": system + _HINTED_STATEMENT * variant.hint}]
    for report, text, letter in examples:
        messages.append({"role": "user", "content": questions._message(questions.show_report([report]), text)})
        messages.append({"role": "assistant", "content": letter})
    return tuple(messages)


@functools.cache
def _asked() -> dict[str, Any]:
    loaded: dict[str, Any] = orjson.loads(questions._FILE.read_bytes())
    return loaded


_plain_report, _plain_message = questions.show_report, questions._message


def _show_report(texts: Sequence[str], earlier: Sequence[str] = ()) -> str:
    return _plain_report(texts, earlier) + hint(" ".join(texts))


def _message(report: str, statement: str) -> str:
    return f"{_plain_message(report, statement)}\n{hint(statement).rstrip()}"
