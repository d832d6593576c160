"""Flags, and on request a price, for candidates that try to earn a reward without being a better report.

Each guard looks at one item (a candidate and its reference) and nothing else, so that it keeps the reward a pure
function of the pair. What a guard does when it fires is the profile's choice; the defaults and the evidence for
them are in docs/guards.md. Clinical content is the judge's business: guards only see the form of a text.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from reward_service.normalise import Normalised

VERSION = 1
"""Raised by hand whenever any flag or threshold changes; part of the profile fingerprint."""


# Thresholds, set on honest reports so that fewer than 1 in 200 is flagged (docs/guards.md has the rates).
REPEATED_SHARE = 0.55  # of four-word sequences that were said before
WRONG_ORDER_SHARE = 0.2  # of function words that stand where English has none
# A shuffle has the reference's words but not its word pairs: from so many words on, less than this share of the pairs.
# One function word out of place makes a text suspect; without any, a short text may be telegraphic style, which can
# honestly invert every pair ("heart normal", "normal heart").
SHUFFLED_WORDS, SHUFFLED, SUSPECT = 0.8, (16, 0.2), (8, 0.45)
STUFFED_FINDINGS, EXTRA_FINDINGS = 20, 8  # different findings named, and those that the reference does not name
LISTED_FINDINGS, LISTED_SHARE = 8, 0.4  # different findings, and the share of all words that name one
CONTRADICTIONS = 2  # findings both asserted and denied; one may be a slip, and is the judge's to price
EXTRA_HEDGES, HEDGED_SHARE = 6, 0.1  # hedging words beyond the reference's, and their share of all words
# (reference of at least so many words, more words than this, more than so many times the reference's). A one-line
# reference is often a bare impression, which an honest candidate answers with a whole report.
LONG = ((1, 150, 3.0), (10, 100, 10.0))
SHORT_REFERENCE, SHORT_RATIO = 20, 0.05


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_TOKEN = re.compile(r"[^\W_]+|[.;!?\n]")
_BREAKS = frozenset(".;!?\n")
# One line a finding; single words, because a look-up a word is what a guard may cost.
_FINDINGS = {
    form: forms.split()[0]
    for forms in """
        effusion effusions hydrothorax
        pneumothorax pneumothoraces
        consolidation consolidations consolidative
        opacity opacities opacification opacifications
        infiltrate infiltrates
        pneumonia pneumonias
        atelectasis atelectases atelectatic
        edema oedema
        congestion congested
        cardiomegaly
        nodule nodules nodular
        mass masses
        granuloma granulomas granulomatous
        scarring scar scars
        fibrosis fibrotic
        emphysema emphysematous copd
        hyperinflation hyperinflated hyperexpansion hyperexpanded
        hypoinflation hypoinflated
        fracture fractures
        dislocation dislocations
        degenerative spondylosis
        osteophytes osteophyte
        scoliosis dextroscoliosis levoscoliosis
        kyphosis
        osteopenia osteoporosis
        atherosclerosis atherosclerotic
        tortuous tortuosity ectasia ectatic
        aneurysm aneurysms
        hernia hernias
        adenopathy lymphadenopathy
        thickening
        blunting blunted
        cavity cavitary cavitation
        bronchiectasis
        tuberculosis tuberculous
        metastasis metastases metastatic
        malignancy cancer carcinoma neoplasm
        pneumomediastinum
        pneumoperitoneum
        empyema
        abscess
        calcification calcifications
        eventration
        sarcoidosis
        contusion hemorrhage
        lesion lesions
        pacemaker defibrillator
        catheter catheters picc
        tracheostomy endotracheal
        nasogastric
        sternotomy
        clips
        stent stents
        """.strip().splitlines()
    for form in forms.split()
}
_HEDGES = _set(
    "possible possibly probable probably may might could cannot questionable likely suspected perhaps potentially "
    "potential conceivably equivocal uncertain maybe"
)
_NEGATIONS = _set("no not without negative free absent never neither nor denies resolved cleared unlikely")
_CLAUSE_ENDS = _BREAKS | _set("but however although though except")
# Beside these words an assertion and a denial of one finding can both be true.
_QUALIFIERS = _set(
    "large new focal definite significant other additional residual convincing obvious discrete acute suspicious right "
    "left interval further previously previous prior evaluate rule history concern question assess indication resolved "
    "comparison cleared longer increase change enlarging worsening displaced"
)
_ARTICLES = _set("the a an no")
_PREPOSITIONS = _set("of in with at on for from to")
_VERBS = _set("is are was were")
_CANNOT_PRECEDE: dict[str, frozenset[str]] = {
    **dict.fromkeys(_ARTICLES, _ARTICLES | _PREPOSITIONS | _VERBS | _BREAKS | _set("and or there")),
    **dict.fromkeys(_PREPOSITIONS, _VERBS | _BREAKS | _set("and or of there")),
    **dict.fromkeys(_VERBS, _VERBS | _BREAKS | _set("and or")),
    **dict.fromkeys(_BREAKS, _VERBS | _set("of or")),
    "and": _BREAKS | _set("and of"),
    "or": _BREAKS | _set("and or of"),
}

# Text that speaks to a judge. Every repetition is bounded, so that no pattern can be made to backtrack for long.
_INJECTION = re.compile(
    "|".join(
        (
            r"</(?:candidate|reference|prediction|system|instructions?|document|data|input|user|assistant|generated)\b",
            r"\b(?:ignore|disregard|forget|override)\b(?:\W{1,3}\w{1,20}){0,4}?\W{1,3}"
            r"(?:instruct\w{0,4}|prompts?|rubric|rules?|guidelines|criteria)\b",
            r"\b(?:zero|no|0|without|free of) (?:clinical |clinically )?(?:significant )?errors\b|\berror[ -]free\b",
            r"\berrors?[\"']? ?[:=] ?(?:0|none|zero|\[|\{)",
            r"\b(?:perfect|full|maximum|highest|max|top) (?:score|marks|reward|rating|credit|points)\b",
            r"\b(?:reward|rating|(?:final|overall|total|green) score)[\"']? ?[:=] ?[\"']?\d",
            r"\b(?:assign|give|award|return|output|deserves)\b(?:\W{1,3}\w{1,20}){0,4}?\W{1,3}(?:score|reward|marks|json)\b",
            r"\b(?:candidate|reference|predicted|ground[ -]truth) (?:report|text|answer|impression|findings)\b",
            r"[\"'](?:matched(?:_findings)?|false(?:_\w{1,20})?|missing(?:_\w{1,20})?|location|severity|score"
            r"|(?:in)?significant(?:_errors)?|errors|candidate|reference)[\"'] ?:",
            r"\byou are (?:now )?(?:a|an|the) (?:\w{1,20} )?(?:judge|grader|evaluator|assistant|model|ai)\b",
            r"\b(?:dear|attention|note to|as) (?:the |an? )?(?:ai |llm )?(?:judge|grader|evaluator)\b",
        )
    )
)
# What each alternative above needs at least one of.
_INJECTION_WORDS = _set(
    "ignore disregard forget override error errors score marks reward rating credit points json you judge grader "
    "evaluator candidate reference predicted truth"
)
_INJECTION_MARKS = ("</", '":', "':", '" :', "' :")


class Multiply(BaseModel):
    """Scale the distance of the reward from the profile's lower bound, so that a penalty never raises a reward."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    multiplier: float = Field(ge=0, le=1, allow_inf_nan=False)


class ToFloor(BaseModel):
    """Give the item the profile's lower bound."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    floor: Literal[True]


def _yaml_word(value: object) -> object:
    return "off" if value is False else value  # an unquoted `off` is False in YAML 1.1


Action = Annotated[Literal["off", "flag"] | Multiply | ToFloor, BeforeValidator(_yaml_word)]
_FLOOR = ToFloor(floor=True)


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
    injection: Action = _FLOOR
    """Text aimed at a judge: instructions, role tags, closing tags, its answer format."""
    repetition: Action = Multiply(multiplier=0.25)
    """Sentences or word sequences said again and again."""
    word_salad: Action = Multiply(multiplier=0.25)
    """Words without their order, or a bare list of findings."""
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
    special_tokens: Action = "flag"
    """Chat tokens inside the text, removed before scoring."""


class Verdict(NamedTuple):
    """What the guards say of one item."""

    flags: tuple[str, ...]
    """Names of the guards that fired, in the order of `GuardSettings`."""
    multiplier: float
    """Product of the multipliers that apply, in [0, 1]: low + multiplier * (reward - low)."""
    floor: bool
    """The reward is the profile's lower bound."""


def inspect(
    candidate: Normalised,
    reference: Normalised | None,
    settings: GuardSettings,
    *,
    notes: Sequence[str] = (),
) -> Verdict:
    """The verdict on one item, linear in the length of both texts; a pure function of its arguments.

    `notes` are those of the item's components: one that ends in ``_truncated`` says that an encoder cut a text.
    """
    fired = set(candidate.flags)
    if not any(c.isalnum() for c in candidate.text):
        fired.add("empty")
    else:
        ours, theirs = _Text(candidate.text), _reference(reference.text if reference is not None else "")
        fired.update(name for name, test in _TESTS.items() if test(ours, theirs))
        if any(note.endswith("_truncated") for note in notes) and len(ours.words) > len(theirs.words):
            fired.add("too_long_for_encoder")
    actions = {name: getattr(settings, name) for name in GuardSettings.model_fields if name in fired}
    actions = {name: action for name, action in actions.items() if action != "off"}
    multipliers = [action.multiplier for action in actions.values() if isinstance(action, Multiply)]
    floor = any(isinstance(action, ToFloor) for action in actions.values())
    return Verdict(tuple(actions), math.prod(multipliers), floor)


class _Text:
    """What the tests need to know of one text."""

    def __init__(self, text: str) -> None:
        self.lower = text.lower()
        self.tokens = _TOKEN.findall(self.lower)
        self.words = [t for t in self.tokens if t not in _BREAKS]
        self.named = [_FINDINGS[w] for w in self.words if w in _FINDINGS]
        self.findings = set(self.named)
        self.hedges = len([w for w in self.words if w in _HEDGES])


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
    starts = [(a, b) for a, b in zip(ours.tokens, [*ours.tokens[1:], "."], strict=True) if a in _CANNOT_PRECEDE]
    wrong = sum(b in _CANNOT_PRECEDE[a] for a, b in starts)
    if wrong >= 3 and wrong > WRONG_ORDER_SHARE * len(starts):
        return True
    words = ours.words
    distinct = set(words)
    long_enough, allowed = SUSPECT if wrong else SHUFFLED
    if len(words) < long_enough or len(distinct.intersection(theirs.words)) < SHUFFLED_WORDS * len(distinct):
        return False  # the cheap test first
    same_words = (Counter(words) & Counter(theirs.words)).total()
    same_pairs = (Counter(pairwise(words)) & Counter(pairwise(theirs.words))).total()
    return same_words >= SHUFFLED_WORDS * len(words) and same_pairs < allowed * (len(words) - 1)


def _finding_stuffing(ours: _Text, theirs: _Text) -> bool:
    many, extra = len(ours.findings), len(ours.findings - theirs.findings)
    listed = many >= LISTED_FINDINGS and len(ours.named) > LISTED_SHARE * len(ours.words)
    return extra >= EXTRA_FINDINGS and (many >= STUFFED_FINDINGS or listed)


def _self_contradiction(ours: _Text, theirs: _Text) -> bool:
    del theirs
    asserted: set[str] = set()
    denied: set[str] = set()
    plus: set[str] = set()
    minus: set[str] = set()
    negated = plain = True
    for token in [".", *ours.tokens, "."]:
        if token in _CLAUSE_ENDS:
            if plain:
                asserted |= plus
                denied |= minus
            plus, minus, negated = set(), set(), False
            plain = plain if token not in _BREAKS else True
        elif token in _NEGATIONS:
            negated = True
        elif token in _QUALIFIERS or token in _HEDGES:
            plain = False
        elif token in _FINDINGS:
            (minus if negated else plus).add(_FINDINGS[token])
    return len(asserted & denied) >= CONTRADICTIONS


def _hedge_density(ours: _Text, theirs: _Text) -> bool:
    return ours.hedges - theirs.hedges >= EXTRA_HEDGES and ours.hedges > HEDGED_SHARE * len(ours.words)


def _length_long(ours: _Text, theirs: _Text) -> bool:
    mine, other = len(ours.words), len(theirs.words)
    return any(other >= least and mine > words and mine > ratio * other for least, words, ratio in LONG)


def _length_short(ours: _Text, theirs: _Text) -> bool:
    return len(theirs.words) >= SHORT_REFERENCE and len(ours.words) < SHORT_RATIO * len(theirs.words)


def _injection(ours: _Text, theirs: _Text) -> bool:
    del theirs
    if _INJECTION_WORDS.isdisjoint(ours.words) and not any(mark in ours.lower for mark in _INJECTION_MARKS):
        return False  # ten times cheaper than the patterns, and true of nearly every report
    return _INJECTION.search(ours.lower) is not None


_TESTS: dict[str, Callable[[_Text, _Text], bool]] = {
    "injection": _injection,
    "repetition": _repetition,
    "word_salad": _word_salad,
    "finding_stuffing": _finding_stuffing,
    "self_contradiction": _self_contradiction,
    "hedge_density": _hedge_density,
    "length_long": _length_long,
    "length_short": _length_short,
}
