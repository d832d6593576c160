"""Work counted instead of timed: lines of Python and steps of regular expressions, the same on every machine.

Python does not tell how often a pattern was tried, so `_Matcher` walks `re`'s own parse tree and backtracks as
`re` does. `tests/test_work.py` holds it against `re`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial
from re import _compiler, _constants, _parser  # type: ignore[attr-defined]
from typing import Any

import pytest

from judges.rules.shipped import default
from tests import process_state

_PRODUCT = tuple(f"{process_state.ROOT}/{name}/" for name in ("judges", "metrics", "reward_service"))
_ONE_CHARACTER = (_constants.LITERAL, _constants.NOT_LITERAL, _constants.ANY, _constants.IN)

Ends = Callable[[str, int], Iterator[int]]


def some_now(cases: Iterable[Any], every: int) -> list[Any]:
    """Every so many of these cases for the default suite, the others for the slow lane."""
    values = [one if isinstance(one, tuple) else (one,) for one in cases]
    return [pytest.param(*one, marks=[pytest.mark.slow] if n % every else []) for n, one in enumerate(values)]


def assert_linear(run: Callable[[str], object], shape: str, *, length: int = 400) -> None:
    """Four times the text is about four times the work (sixteen times, where it grows with the square)."""
    times = max(1, length // len(shape))  # whole ones: a word cut in two is another text
    short, long = (work(partial(run, shape * many)) for many in (times, 4 * times))
    assert long <= 4.5 * short, f"{length} characters: {short} operations, {4 * length}: {long}"


def work(run: Callable[[], object], *, most: int = 5_000_000) -> int:
    """Operations of the product's code in `run`, with empty caches. Raises `AssertionError` beyond `most`."""
    process_state.forget()
    default()  # compiled once in a process, in whichever test comes first
    counter = _Counter(most)
    before = sys.gettrace()
    with pytest.MonkeyPatch.context() as patch:
        for name, module in list(sys.modules.items()):
            if name.partition(".")[0] in process_state.OWN:
                for attribute, value in list(vars(module).items()):
                    if (counted := _counted(value)) is not value:
                        patch.setattr(module, attribute, counted)
        _counting.append(counter)
        sys.settrace(counter.call)
        try:
            run()
        finally:
            sys.settrace(before)
            _counting.pop()
    return counter.count


class _Counter:
    def __init__(self, most: int) -> None:
        self.count = 0
        self._most = most

    def call(self, frame: Any, event: str, _: object) -> Any:
        return self.line if frame.f_code.co_filename.startswith(_PRODUCT) else None

    def line(self, frame: Any, event: str, _: object) -> Any:
        if event == "line":
            self.add()
        return self.line

    def add(self) -> None:
        self.count += 1
        assert self.count < self._most, f"more than {self._most} operations"


_counting: list[_Counter] = []


def _counted(value: Any) -> Any:
    """The same, with every pattern in it replaced by one that counts; `value` itself if there is none."""
    if isinstance(value, re.Pattern) and isinstance(value.pattern, str):
        return _CountedPattern(value)
    if isinstance(value, tuple):
        parts = [_counted(part) for part in value]
        if any(new is not old for new, old in zip(parts, value, strict=True)):
            return value._make(parts) if hasattr(value, "_make") else tuple(parts)
    return value


class _CountedPattern:
    """A compiled pattern whose calls are counted, step by step, before they are made."""

    def __init__(self, pattern: re.Pattern[str]) -> None:
        self._pattern = pattern
        self._matcher = _matcher(pattern)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._pattern, name)
        if not callable(method):
            return method

        def call(*arguments: Any) -> Any:
            trace = sys.gettrace()
            sys.settrace(None)
            try:
                text, pos, *_ = *(arguments[1:] if name in ("sub", "subn") else arguments), 0
                if name in ("match", "fullmatch"):
                    next(self._matcher.ends(text, pos), None)
                else:
                    next(self._matcher.spans(text, pos), None) if name == "search" else list(
                        self._matcher.spans(text, 0)
                    )
            finally:
                sys.settrace(trace)
            return method(*arguments)

        return call


@cache
def _matcher(pattern: re.Pattern[str]) -> _Matcher:
    """Made once: it counts for whoever counts when it matches."""
    return _Matcher(pattern, lambda: _counting[-1].add())


class _Matcher:
    def __init__(self, pattern: re.Pattern[str], step: Callable[[], None]) -> None:
        self._flags = pattern.flags
        self._step = step
        self.ends: Ends = self._sequence(_parser.parse(pattern.pattern, pattern.flags))

    def spans(self, text: str, pos: int) -> Iterator[tuple[int, int]]:
        """As of `finditer`."""
        while pos <= len(text):
            self._step()
            end = next(self.ends(text, pos), None)
            if end is not None:
                yield pos, end
            pos = pos + 1 if end is None or end == pos else end

    def _sequence(self, tree: Any) -> Ends:
        nodes = [self._node(tree.state, op, argument) for op, argument in tree]

        def ends(text: str, pos: int, at: int = 0) -> Iterator[int]:
            if at == len(nodes):
                yield pos
                return
            for end in nodes[at](text, pos):
                yield from ends(text, end, at + 1)

        return ends

    def _node(self, state: Any, op: Any, argument: Any) -> Ends:
        match op:
            case _constants.SUBPATTERN:
                return self._sequence(argument[3])
            case _constants.BRANCH:
                return self._branch([self._sequence(tree) for tree in argument[1]])
            case _constants.ASSERT | _constants.ASSERT_NOT:
                return self._assertion(*argument, wanted=op is _constants.ASSERT)
            case _constants.ATOMIC_GROUP:
                return self._first(self._sequence(argument))
            case _constants.MAX_REPEAT | _constants.MIN_REPEAT:
                return self._repeat(*argument, greedy=op is _constants.MAX_REPEAT)
            case _constants.POSSESSIVE_REPEAT:
                return self._first(self._repeat(*argument, greedy=True))
        return self._primitive(state, op, argument)

    def _primitive(self, state: Any, op: Any, argument: Any) -> Ends:
        """One character, or a position such as a word's boundary: left to `re` itself."""
        tree = _parser.SubPattern(state, [(op, argument)])
        match = _compiler.compile(tree, self._flags).match

        def ends(text: str, pos: int) -> Iterator[int]:
            self._step()
            if found := match(text, pos):
                yield found.end()

        return ends

    def _branch(self, alternatives: list[Ends]) -> Ends:
        def ends(text: str, pos: int) -> Iterator[int]:
            for alternative in alternatives:
                yield from alternative(text, pos)

        return ends

    def _first(self, inner: Ends) -> Ends:
        def ends(text: str, pos: int) -> Iterator[int]:
            if (end := next(inner(text, pos), None)) is not None:
                yield end

        return ends

    def _assertion(self, direction: int, tree: Any, *, wanted: bool) -> Ends:
        inner, back = self._sequence(tree), tree.getwidth()[0] if direction < 0 else 0

        def ends(text: str, pos: int) -> Iterator[int]:
            holds = pos >= back and next(inner(text, pos - back), None) is not None
            if holds is wanted:
                yield pos

        return ends

    def _repeat(self, least: int, most: int, tree: Any, *, greedy: bool) -> Ends:
        inner = self._sequence(tree)

        def more(text: str, pos: int, times: int) -> Iterator[int]:
            if not greedy and times >= least:
                yield pos
            if times < most:
                for end in inner(text, pos):
                    if end > pos or times < least:
                        yield from more(text, end, times + 1)
            if greedy and times >= least:
                yield pos

        def run(text: str, pos: int) -> Iterator[int]:
            """The same for single characters, without recursion."""
            reached = [pos]
            while len(reached) <= most and (end := next(inner(text, reached[-1]), None)) is not None:
                reached.append(end)
            for end in reversed(reached[least:]):
                self._step()
                yield end

        if greedy and len(tree) == 1 and tree[0][0] in _ONE_CHARACTER:
            return run
        return lambda text, pos: more(text, pos, 0)
