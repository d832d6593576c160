"""The questions of the protocol `statements`, and the letters that answer them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Final


class Question(IntEnum):
    """The questions, by the names that `questions.json` gives them."""

    SAID = 1
    KIND = 2
    GRAVE = 3


LETTERS: Final[Mapping[Question, str]] = {Question.SAID: "ABC", Question.KIND: "ABCDE", Question.GRAVE: "AB"}
