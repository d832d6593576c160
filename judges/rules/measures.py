"""Measurements: which numbers are one, and whether it is that of an earlier study."""

from __future__ import annotations

from typing import Final

from judges.rules import lexicon as lx
from judges.rules.words import KNOWN

UNIT: Final[dict[str, float]] = KNOWN["units"]
"""Millimetres."""
_PERCENT: Final = frozenset(KNOWN["percent"]["words"])
_GRADES: Final[dict[str, int]] = {"trace": 1, "small": 2, "moderate": 4, "large": 8}
_PARTS: Final = tuple((limit, _GRADES[name]) for limit, name in sorted(KNOWN["percent"]["grades"].items()))
_CHANCES: Final = frozenset(KNOWN["chances"])
_NEAR, _DIGITS = 7, 6  # words around a number among which its probability is named, and its digits
_FEW, _SURE = 0.15, 0.85  # a probability below the first denies, one above the second asserts
_BY: Final = tuple(lx.Row("absent", direction=way, source="a probability") for way in ("forward", "backward"))
_DENIED: Final = lx.Leaf(cue=lx.NEG | lx.NEG_AFTER, rows=_BY)
_POSSIBLE: Final = lx.Leaf(cue=lx.UNC | lx.UNC_AFTER)
_RATIOS: Final = frozenset(KNOWN["ratio"]["names"])
_OVER, _UNDER, _DENIES = (frozenset(KNOWN["ratio"][name]) for name in ("over", "under", "denies"))
_EARLIER: Final = frozenset(("was", "from", "previously", "prior"))
_LEAST, _HALF = 0.3, 0.5
_SLIGHT, _GREAT = 0.55, 0.65
_SMALL, _LARGE = 0b0010, 0b1000
_SAME: Final = 0.1  # share by which two measurements of one thing may differ


def direction(former: float, size: float) -> int:
    """The change from one measurement to another: "9 mm, previously 15 mm"."""
    if abs(size - former) < _SAME * former:
        return lx.STABLE
    return lx.WORSE if size > former else lx.BETTER


def millimetres(words: list[str], i: int, *, joined: bool) -> float:
    """The measurement that starts or ends with the number at `i`; 0 when it is none.

    `joined`: the two words before it are the rest of the number.
    """
    ahead = [*words[i + 1 : i + 4], "", "", ""]
    unit = UNIT.get(ahead[0]) or (ahead[0] in "x×" and UNIT.get(ahead[2]))  # "2.3 x 1.8 cm"
    number = words[i]
    if not unit or len(number) > 6:
        return 0.0
    if joined:
        number = f"{words[i - 2][-4:]}.{number}"
    return float(number) * unit


def percentage(words: list[str], i: int) -> int:
    """The grade that a percentage says whose number is at `i`: "20 % pneumothorax"; 0 when it is none."""
    if words[i + 1 : i + 2] == [] or words[i + 1] not in _PERCENT or len(words[i]) > 3:
        return 0
    return next((grade for limit, grade in _PARTS if float(words[i]) <= limit), 0)


def chance(words: list[str], i: int) -> lx.Leaf | None:
    """What the number at `i` says where it is a probability: "probability < 1 %" denies, "50 % chance" doubts."""
    percent = words[i + 1 : i + 2] != [] and words[i + 1] in _PERCENT
    if not (percent or "." in words[i]) or len(words[i]) > _DIGITS or not _named(words, i):
        return None
    share = float(words[i]) / (100 if percent else 1)
    return _DENIED if share < _FEW else _POSSIBLE if share < _SURE else None


def enlarges(words: list[str], i: int, last: int) -> bool | None:
    """Whether the number at `i` is the cardiothoracic ratio of an enlarged heart; None where it is no such ratio.

    The ratio is named by the word at `last`. A heart is enlarged above a half (Danzer, Am J Med Sci, 1919).
    """
    if words[last] not in _RATIOS or not 0 < i - last <= _NEAR or len(words[i]) > _DIGITS or words[i - 1] in _EARLIER:
        return None
    if "." not in words[i] and words[i + 1 : i + 2] != [] and words[i + 1] not in _PERCENT:
        return None  # "CTR 55 days later"
    share = float(words[i])
    share = share / 100 if share > 1 else share
    if not _LEAST < share < 1:
        return None
    between = words[last + 1 : i]
    if share == _HALF:
        return not _OVER.isdisjoint(between) and _DENIES.isdisjoint(between)
    return share > _HALF and _UNDER.isdisjoint(between)


def grade_of_ratio(words: list[str], i: int) -> int:
    """The grade of a heart with the ratio at `i`, as bits; 0 between those that are near a half and those far above.

    Readers differ by some hundredths, so that only ratios which are far apart are different grades.
    """
    share = float(words[i])
    share = share / 100 if share > 1 else share
    return _SMALL if share <= _SLIGHT else _LARGE if share >= _GREAT else 0


def _named(words: list[str], i: int) -> bool:
    """Whether the sentence calls the number at `i` a probability."""
    for step in (-1, 1):
        for j in range(i + step, i + step * _NEAR, step):
            if not 0 <= j < len(words) or words[j] in ".;\n":
                break
            if words[j] in _CHANCES:
                return True
    return False


def joins(words: list[str], i: int, text: str, starts: list[int]) -> bool:
    """Whether the word at `i` is a decimal point in tokenised text ("a 2 . 3 cm nodule").

    It is not the full stop after the number of a list: "1. 12 mm nodule", "1 . 12 mm nodule".
    """
    if words[i] != "." or not (words[i - 1].isdecimal() and words[i + 1].isdecimal()):
        return False
    start = starts[i - 1]
    before = text[max(0, start - 3) : start]
    return text[starts[i] - 1] == " " and "\n" not in before and before.rstrip()[-1:] not in ("", ".", ":")


def former(words: list[str], i: int, former: frozenset[str]) -> bool:
    """Whether the measurement at `i` is that of an earlier study."""
    j = i - 1
    while j >= max(0, i - 8) and (words[j] in UNIT or words[j] in ".x×" or words[j][0].isdecimal()):
        j -= 1  # "previously 3.9 x 3.1 cm"
    if j < 0:
        return False
    if words[j] in former or (j and words[j - 1] in ("compared", "versus") and words[j] in ("to", "with")):
        return True
    after, end = i + 1, min(len(words) - 1, i + 8)
    while after < end and (words[after] in UNIT or words[after] in "x×" or _digit(words[after])):
        after += 1
    return words[after : after + 1] == ["previously"] and not any(map(_digit, words[after + 1 : after + 2]))


def _digit(word: str) -> bool:
    return word[0].isdecimal()
