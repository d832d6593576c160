"""Flags, and on request a price, for candidates that try to earn a reward without being a better report.

Each guard looks at one item (a candidate and its reference) and nothing else, so that it keeps the reward a pure
function of the pair. What a guard does when it fires is the profile's choice; the defaults and the evidence for
them are in docs/guards.md. Clinical content is the judge's business: guards only see the form of a text.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from judges.injection import SHA256, addresses_grader
from judges.rules.examination import CANDIDATE_OUTSIDE
from judges.rules.layout import Layout
from judges.rules.shipped import default
from judges.rules.vocabulary import finding_words
from reward_service.text import answer
from reward_service.text.normaliser import Normalised
from reward_service.text.slips import BREAKS, function_words, misplaced, slips

VERSION = 4
"""Raised by hand whenever any flag or threshold changes; part of the profile fingerprint."""


# Thresholds, set on honest reports so that fewer than 1 in 200 is flagged (docs/guards.md has the rates).
REPEATED_SHARE = 0.55  # of four-word sequences that were said before
WRONG_ORDER_SHARE = 0.2  # of function words that stand where English has none
# A shuffle has the reference's words but not its word pairs: from so many words on, less than this share of the pairs.
# One function word out of place makes a text suspect; without any, a short text may be telegraphic style, which can
# honestly invert every pair ("heart normal", "normal heart").
SHUFFLED_WORDS, SHUFFLED, SUSPECT = 0.8, (16, 0.2), (8, 0.45)
GARBLED = 2  # slips of form beyond those of the reference; one may be a slip of the hand
STUFFED_FINDINGS, EXTRA_FINDINGS = 20, 8  # different findings named, and those that the reference does not name
LISTED_FINDINGS, LISTED_SHARE = 8, 0.4  # different findings, and the share of all words that name one
CONTRADICTIONS = 2  # findings both asserted and denied; one may be a slip, and is the judge's to price
EXTRA_HEDGES, HEDGED_SHARE = 6, 0.1  # hedging words beyond the reference's, and their share of all words
# (reference of at least so many words, more words than this, more than so many times the reference's). A one-line
# reference is often a bare impression, which an honest candidate answers with a whole report.
LONG = ((1, 150, 3.0), (10, 100, 10.0))
UNREAD_LETTERS = 8  # of neither the Latin nor the Greek alphabet, look-alikes having been folded, and their like
SPELT_LETTERS = 20  # words of one letter that are still abbreviations: "L", "R", "c / w"
LONGER_THAN_READ = 1.25  # times the reference's words, when an encoder has not read all of the candidate
SHORT_REFERENCE, SHORT_RATIO = 20, 0.05


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_TOKEN = re.compile(r"[^\W_]+|[.;!?\n]")
_SPEAKERS = _set(
    "i we let okay ok hmm hmmm wait user step you your please given image answer ai now so looking write generate "
    "provide produce create draft compose describe summarise summarize look examine analyze analyse"
)
"""No text without any of these reasons or repeats a prompt."""
_HEDGES = _set(
    "possible possibly probable probably may might could cannot questionable likely suspected perhaps potentially "
    "potential conceivably equivocal uncertain maybe"
)
_NEGATIONS = _set("no not without negative free absent never neither nor denies resolved cleared unlikely")
_CLAUSE_ENDS = BREAKS | _set("but however although though except")
# Beside these words an assertion and a denial of one finding can both be true.
_QUALIFIERS = _set(
    "large new focal definite significant other additional residual convincing obvious discrete acute suspicious right "
    "left interval further previously previous prior evaluate rule history concern question assess indication resolved "
    "comparison cleared longer increase change enlarging worsening displaced reason exam exclude recommend recommended"
)
_SIDE_HEADING = re.compile(r"^\W{0,8}(?:left|right)\b[ \w]{0,24}:", re.IGNORECASE | re.MULTILINE)
_DIGIT_IN_WORD = re.compile(r"(?!\d+(?:mm|cm)?x\d)[a-z\d]*[a-z]\d+[a-z]")
_RUN_TOGETHER = re.compile(r"[a-z]{2}[A-Z][a-z]")  # "LargeRightPneumothorax"
_READABLE = ("LATIN", "GREEK", "MICRO", "FEMININE", "MASCULINE")


class Multiply(BaseModel):
    """Scale the distance of the reward from the profile's lower bound, so that a penalty never raises a reward."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    multiplier: float = Field(ge=0, le=1, allow_inf_nan=False)


class ToFloor(BaseModel):
    """Give the item the profile's lower bound."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    floor: Literal[True]


def _action(value: object) -> object:
    if isinstance(value, Multiply | ToFloor) or (isinstance(value, dict) and value.keys() == {"multiplier"}):
        return value
    if value in (False, "off"):  # an unquoted `off` is False in YAML 1.1
        return "off"
    if value == "flag" or value == {"floor": True}:
        return value
    raise ValueError("an action is off, flag, {multiplier: 0..1} or {floor: true}")


Action = Annotated[Literal["off", "flag"] | Multiply | ToFloor, BeforeValidator(_action)]
_FLOOR = ToFloor(floor=True)
_OUTSIDE = frozenset(CANDIDATE_OUTSIDE.values())


class GuardSettings(BaseModel):
    """One action per guard: `off`, `flag`, `{multiplier: 0..1}` or `{floor: true}`.

    A profile may also write ``guards: flag`` or ``guards: off`` for all of them, e.g. to reproduce published numbers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _one_word_for_all(cls, value: object) -> object:
        return dict.fromkeys(cls.model_fields, value) if value is False or value in ("off", "flag") else value

    empty: Action = _FLOOR
    """No letter and no digit."""
    unclosed_think: Action = _FLOOR
    """The text never leaves its thinking block: there is no answer."""
    not_a_report: Action = Multiply(multiplier=0.25)
    """Reasoning or a prompt stands in the text, and nothing says where the report begins."""
    injection: Action = _FLOOR
    """Text aimed at a judge: instructions, role tags, closing tags, its answer format."""
    out_of_scope: Action = _FLOOR
    """A judge notes that the candidate is no report of the kind that it reads: another examination or language."""
    repetition: Action = Multiply(multiplier=0.25)
    """Sentences or word sequences said again and again."""
    word_salad: Action = Multiply(multiplier=0.25)
    """Words without their order, or a bare list of findings."""
    garbled: Action = Multiply(multiplier=0.5)
    """Marks between words, words said twice and sentences begun in the middle, as no report has them."""
    finding_stuffing: Action = Multiply(multiplier=0.25)
    """Far more different findings than a chest report, and this reference, would name."""
    self_contradiction: Action = Multiply(multiplier=0.25)
    """Two or more findings both asserted and denied."""
    hedge_density: Action = Multiply(multiplier=0.5)
    """A "possible" for everything."""
    length_long: Action = Multiply(multiplier=0.7)
    """Long, and several times as long as the reference."""
    length_short: Action = "flag"
    """A few words for a long reference."""
    too_long_for_encoder: Action = Multiply(multiplier=0.5)
    """An encoder did not read all of the candidate."""
    homoglyphs: Action = "flag"
    """Look-alike letters, folded before scoring."""
    invisible_characters: Action = "flag"
    """Characters without ink, removed before scoring."""
    unreadable: Action = Multiply(multiplier=0.25)
    """What a person reads and no component does: other scripts, digits for letters, words spelt out or run together."""
    special_tokens: Action = "flag"
    """Chat tokens inside the text, removed before scoring."""


class GuardResult(NamedTuple):
    """What the guards say of one item."""

    flags: tuple[str, ...]
    """Names of the guards that fired, in the order of `GuardSettings`."""
    multiplier: float
    """Product of the multipliers that apply, in [0, 1]: low + multiplier * (reward - low)."""
    floor: bool
    """The reward is the profile's lower bound."""


DATA = ("injection_patterns", "lexicon")
"""Fields of the manifest that are digests of data."""


def manifest(settings: GuardSettings) -> dict[str, Any]:
    """What determines a result, as plain JSON for the fingerprint. It loads the lexicon, so that no request has to."""
    finding_words()
    lexicon = default().sha256[:16]
    return {"version": VERSION, "injection_patterns": SHA256[:16], "lexicon": lexicon, **settings.model_dump()}


def inspect(
    candidate: Normalised,
    reference: Normalised | None,
    settings: GuardSettings,
    *,
    notes: Sequence[str] = (),
) -> GuardResult:
    """What the guards say of one item, linear in the length of both texts; a pure function of its arguments.

    `notes` are those of the item's components: one that ends in ``_truncated`` says that an encoder cut a text, one of
    `CANDIDATE_OUTSIDE` that the candidate is no report of the kind that the rules judge reads.
    """
    fired = set(candidate.flags)
    if not any(c.isalnum() for c in candidate.text):
        fired.add("empty")
    else:
        ours, theirs = _Text(candidate.text), _reference(reference.text if reference is not None else "")
        fired.update(name for name, test in _TESTS.items() if test(ours, theirs))
        much_longer = len(ours.words) > LONGER_THAN_READ * len(theirs.words)
        if much_longer and any(note.endswith("_truncated") for note in notes):
            fired.add("too_long_for_encoder")
        if not _OUTSIDE.isdisjoint(notes):
            fired.add("out_of_scope")
    actions = {name: getattr(settings, name) for name in GuardSettings.model_fields if name in fired}
    actions = {name: action for name, action in actions.items() if action != "off"}
    multipliers = [action.multiplier for action in actions.values() if isinstance(action, Multiply)]
    floor = any(isinstance(action, ToFloor) for action in actions.values())
    return GuardResult(tuple(actions), math.prod(multipliers), floor)


@lru_cache(maxsize=1)
def _layout() -> Layout:
    return Layout(default())


class _Text:
    """What the tests need to know of one text."""

    def __init__(self, text: str) -> None:
        self.text = text
        draft = _layout().undo(text)
        self.plain = text if draft is None else draft.text
        """Without its layout: a wrapped line is no sentence, and a lone mark, which nothing reads, no slip."""
        self.tokens = _TOKEN.findall(self.plain.lower())
        self.words = [t for t in self.tokens if t not in BREAKS]
        findings = finding_words()
        self.named = [findings[w] for w in self.words if w in findings]
        self.findings = set(self.named)
        hedges = [i for i, word in enumerate(self.words) if word in _HEDGES]
        # With the words around them: an impression that repeats a hedged finding hedges nothing more.
        self.hedges = len({tuple(self.words[max(0, i - 3) : i + 4]) for i in hedges})
        self.function_words = function_words(self.tokens)
        self.misplaced = misplaced(self.function_words)

    @cached_property
    def slips(self) -> int:
        return slips(self.plain, self.misplaced)


_reference = lru_cache(maxsize=16)(_Text)  # the candidates of a group share theirs


def _repetition(ours: _Text, theirs: _Text) -> bool:
    share = _repeated(ours.words)
    return share > REPEATED_SHARE and share > _repeated(theirs.words) + 0.2


def _repeated(words: list[str]) -> float:
    """Share of word sequences already said; of four words, or of one in a text too short for that."""
    grams: list[Any] = list(zip(words, words[1:], words[2:], words[3:], strict=False))
    if len(grams) < 8:
        grams = words if len(words) >= 6 else []
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def _word_salad(ours: _Text, theirs: _Text) -> bool:
    """Function words where English has none ("the of", "no is"), or the reference's words without its word pairs."""
    wrong = max(0, len(ours.misplaced) - len(theirs.misplaced))  # a reference that was cut off has some as well
    if wrong >= 3 and wrong > WRONG_ORDER_SHARE * len(ours.function_words):
        return True
    words = ours.words
    distinct = set(words)
    long_enough, allowed = SUSPECT if wrong else SHUFFLED
    if len(words) < long_enough or len(distinct.intersection(theirs.words)) < SHUFFLED_WORDS * len(distinct):
        return False  # the cheap test first
    same_words = (Counter(words) & Counter(theirs.words)).total()
    same_pairs = (Counter(pairwise(words)) & Counter(pairwise(theirs.words))).total()
    return same_words >= SHUFFLED_WORDS * len(words) and same_pairs < allowed * (len(words) - 1)


def _garbled(ours: _Text, theirs: _Text) -> bool:
    return ours.slips >= GARBLED and ours.slips - theirs.slips >= GARBLED


def _finding_stuffing(ours: _Text, theirs: _Text) -> bool:
    many, extra = len(ours.findings), len(ours.findings - theirs.findings)
    listed = many >= LISTED_FINDINGS and len(ours.named) > LISTED_SHARE * len(ours.words)
    return extra >= EXTRA_FINDINGS and (many >= STUFFED_FINDINGS or listed)


def _self_contradiction(ours: _Text, theirs: _Text) -> bool:
    found = _contradicted(ours)
    if len(found) < CONTRADICTIONS or _SIDE_HEADING.search(ours.text):  # each side has findings of its own there
        return False
    return len(found - _contradicted(theirs)) >= CONTRADICTIONS


def _contradicted(text: _Text) -> set[str]:
    """Findings that are both asserted and denied, without a word beside them that reconciles the two."""
    asserted: set[str] = set()
    denied: set[str] = set()
    plus: set[str] = set()
    minus: set[str] = set()
    negated = plain = True
    findings = finding_words()
    for token in [".", *text.tokens, "."]:
        if token in _CLAUSE_ENDS:
            if plain:
                asserted |= plus
                denied |= minus
            plus, minus, negated = set(), set(), False
            plain = plain if token not in BREAKS else True
        elif token in _NEGATIONS:
            negated = True
        elif token in _QUALIFIERS or token in _HEDGES:
            plain = False
        elif token in findings:
            (minus if negated else plus).add(findings[token])
    return asserted & denied


def _hedge_density(ours: _Text, theirs: _Text) -> bool:
    return ours.hedges - theirs.hedges >= EXTRA_HEDGES and ours.hedges > HEDGED_SHARE * len(ours.words)


def _length_long(ours: _Text, theirs: _Text) -> bool:
    mine, other = len(ours.words), len(theirs.words)
    return any(other >= least and mine > words and mine > ratio * other for least, words, ratio in LONG)


def _unreadable(ours: _Text, theirs: _Text) -> bool:
    letters = _unread(ours)
    return letters > UNREAD_LETTERS and letters > _unread(theirs)


def _unread(text: _Text) -> int:
    """Letters of other scripts, and words spelt out, with digits for letters ("pneum0thorax") or run together."""
    spelt = sum(len(word) == 1 and word.isalpha() for word in text.words)
    mixed = {w for w in text.words if not (w.isalpha() or w.isdigit()) and len(w) > 3 and _DIGIT_IN_WORD.match(w)}
    joints = set(_RUN_TOGETHER.findall(text.text))
    letters: int = 3 * (len(mixed) + len(joints)) + max(0, spelt - SPELT_LETTERS)
    if not text.text.isascii():
        strange = (c for c in text.text if not c.isascii() and c.isalpha())
        letters += sum(not unicodedata.name(c, "LATIN").startswith(_READABLE) for c in strange)
    return letters


def _length_short(ours: _Text, theirs: _Text) -> bool:
    return len(theirs.words) >= SHORT_REFERENCE and len(ours.words) < SHORT_RATIO * len(theirs.words)


def _not_a_report(ours: _Text, theirs: _Text) -> bool:
    return not _SPEAKERS.isdisjoint(ours.words) and answer.deliberates(ours.text, theirs.text)


def _injection(ours: _Text, theirs: _Text) -> bool:
    return addresses_grader(ours.text, theirs.text)


_TESTS: dict[str, Callable[[_Text, _Text], bool]] = {
    "not_a_report": _not_a_report,
    "injection": _injection,
    "repetition": _repetition,
    "word_salad": _word_salad,
    "garbled": _garbled,
    "finding_stuffing": _finding_stuffing,
    "self_contradiction": _self_contradiction,
    "hedge_density": _hedge_density,
    "length_long": _length_long,
    "length_short": _length_short,
    "unreadable": _unreadable,
}
