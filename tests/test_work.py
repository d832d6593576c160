"""The counting of work: patterns match as `re` matches them, counts repeat, and what grows with the square is told."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import judges.rules.judge
import judges.vllm.judge
import reward_service.text.guards
import reward_service.text.sections
from judges.injection import KINDS
from reward_service.text import normaliser
from tests import process_state, work

READERS = (
    judges.rules.judge,
    judges.vllm.judge,
    reward_service.text.guards,
    reward_service.text.sections,
)  # with patterns
SHIPPED = [
    value
    for name, module in sorted(sys.modules.items())
    if name.partition(".")[0] in process_state.OWN
    for value in vars(module).values()
    if isinstance(value, re.Pattern) and isinstance(value.pattern, str)
]
PIECES = [*"aN1. ,:<>[]/|#-\n\u200bé", "no ", "<think>", "</s>", "Findings: ", "normal", "the "]


@pytest.mark.parametrize("pattern", [*SHIPPED, *(kind.pattern for kind in KINDS)], ids=lambda p: p.pattern[:30])
@settings(max_examples=15)
@given(text=st.lists(st.sampled_from(PIECES)).map("".join))
def test_a_pattern_is_matched_as_re_does_it(pattern: re.Pattern[str], text: str) -> None:
    matcher = work._Matcher(pattern, lambda: None)
    assert list(matcher.spans(text, 0)) == [m.span() for m in pattern.finditer(text)]


@pytest.mark.parametrize(("pattern", "text", "steps"), [("ab", "ab", 5), ("ab", "xab", 7), ("a+b", "aaa", 26)])
def test_steps_are_positions_and_tries_of_one_character(pattern: str, text: str, steps: int) -> None:
    counter = work._Counter(1000)
    list(work._Matcher(re.compile(pattern), counter.add).spans(text, 0))
    assert counter.count == steps


def planted(body: str) -> Callable[[str], object]:
    """A function that counts as the product's."""
    names: dict[str, Callable[[str], object]] = {}
    exec(compile(f"def run(text):\n {body}", f"{process_state.ROOT}/judges/planted.py", "exec"), names)
    return names["run"]


def test_counts_repeat_and_grow_with_the_text() -> None:
    once, again = (work.work(lambda: normaliser.normalise("no  effusion\u200b ")) for _ in range(2))
    assert once == again > 100
    work.assert_linear(normaliser.normalise, "a\u200b ")
    work.assert_linear(planted("for _ in text: len(text)"), "a")


@pytest.mark.parametrize(
    "body", ["for _ in text:\n  for _ in text: pass", "return sum(a == b for a in text for b in text)"]
)
def test_loops_in_loops_are_noticed(body: str) -> None:
    with pytest.raises(AssertionError, match="operations"):
        work.assert_linear(planted(body), "a")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("pattern", "shape"), [(r"\s+x", " \t"), (r"a.*b", "a \t"), (r"é\w*(?=,)", "é"), (r"(?:ab|\s)+x", "ab\t")]
)
def test_patterns_that_backtrack_are_noticed(monkeypatch: pytest.MonkeyPatch, pattern: str, shape: str) -> None:
    monkeypatch.setattr(normaliser, "_UNTIDY_SPACE", re.compile(pattern))
    with pytest.raises((AssertionError, RecursionError), match=r"operations|recursion"):
        work.assert_linear(normaliser.normalise, shape)
