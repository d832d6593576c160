"""The rules judge: clinical errors in six categories from a lexicon and an algorithm, on any laptop, always the same.

It is the embedded default. What it knows is in the lexicon files, how it reads in `reader`, what a difference costs in
`compare`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import ClassVar, Final, Literal

from judges.base import SILENT, Judgement, Refusal
from judges.rules import compare, knowledge, stored
from judges.rules.examination import CANDIDATE_OUTSIDE
from judges.rules.findings import Findings
from judges.rules.lexicon import Lexicon, LexiconError
from judges.rules.reader import Reader
from judges.rules.shipped import default, shipped
from judges.scores import KEYS


@dataclass(frozen=True, slots=True)
class Settings:
    """What may differ between two rules judges; part of the fingerprint."""

    max_characters: int = 100_000
    """Only so much of a text is read: a bound on cost, not a policy (the service refuses longer texts, see
    `Settings.max_text_chars`, and compatibility folding makes four times as much of them at most)."""

    def __post_init__(self) -> None:
        if self.max_characters < 1:
            raise ValueError("max_characters must be at least 1")


OUT_OF_SCOPE: Final = "out_of_scope"
"""Code of the refusal to judge against a reference."""
_SILENT: Final = Findings({}, {}, {}, empty=True)


class RulesJudge:
    """`encode` reads a report once, `compare` judges pairs of readings. Pure, deterministic, picklable."""

    version: ClassVar[int] = 4
    cost: ClassVar[Literal["pool"]] = "pool"
    uses_prior: ClassVar[bool] = True
    keys: ClassVar[tuple[str, ...]] = KEYS
    determinism: ClassVar[str] = "exact"

    def __init__(self, settings: Settings | None = None, lexicon: Lexicon | None = None) -> None:
        """Raises `LexiconError` when a concept's own example sentences do not say what they should."""
        self.settings = settings or Settings()
        self.lexicon = lexicon or default()
        self._reader = Reader(self.lexicon)
        if self.lexicon is default():
            _validate_shipped()
        else:
            validate(self.lexicon, self._reader)

    @property
    def encoding(self) -> str:
        return f"RulesJudge@{self.version}:{self.lexicon.sha256}:{self.settings.max_characters}"

    def manifest(self) -> Mapping[str, object]:
        return {"lexicon_sha256": self.lexicon.sha256, "settings": asdict(self.settings)}

    def encode(self, texts: Sequence[str]) -> list[Findings]:
        return [self._reader.read(text[: self.settings.max_characters]) for text in texts]

    def refuses(self, reference: Findings) -> Refusal | None:
        """`out_of_scope` for a reference that is no English report of a chest radiograph, with what it is instead.

        Ask before `compare`, whose numbers mean nothing for such a reference.
        """
        if reference.outside is None:
            return None
        return Refusal(OUT_OF_SCOPE, f"The reference is no English report of a chest radiograph: {reference.outside}.")

    def compare(
        self,
        candidates: Sequence[Findings],
        references: Sequence[Findings],
        *priors: Sequence[Findings | None],
    ) -> list[Judgement]:
        """One `Judgement` per position; `values` has every one of `keys`. `priors`: at most one sequence.

        A candidate that is no English report of a chest radiograph is judged as one that says nothing, with a note; a
        prior that is none is left out.
        """
        (earlier,) = priors or ([None] * len(candidates),)
        return [self._judge(*texts) for texts in zip(candidates, references, earlier, strict=True)]

    def _judge(self, candidate: Findings, reference: Findings, prior: Findings | None) -> Judgement:
        if prior is not None and prior.outside is not None:
            prior = None
        if candidate.outside is None:
            return compare.judge(self.lexicon, candidate, reference, prior)
        judged = compare.judge(self.lexicon, _SILENT, reference, prior)
        note = CANDIDATE_OUTSIDE[candidate.outside.kind]
        evidence = [each._replace(detail=note) if each.detail == SILENT else each for each in judged.evidence]
        return replace(judged, evidence=tuple(evidence), notes=(*judged.notes, note))

    def nbytes(self, artefact: Findings) -> int:
        sides = sum(map(len, artefact.positive.values()))
        words = len(artefact.strange) + sum(len(unread.words) for unread in artefact.unread)
        return 600 + 450 * sides + 250 * (len(artefact.negative) + len(artefact.changes)) + 100 * words

    def __reduce__(self) -> tuple[type[RulesJudge], tuple[Settings]]:
        if self.lexicon is not default():
            raise TypeError("only a judge with the shipped lexicon can cross a process border")
        return RulesJudge, (self.settings,)


@lru_cache(maxsize=1)
def _validate_shipped() -> None:
    """Once in a process, unless an earlier one has kept the lexicon, which it does only when it was found right."""
    lexicon, right = shipped()
    if not right:
        validate(lexicon, Reader(lexicon))
        stored.save(knowledge.texts(), lexicon)


def validate(lexicon: Lexicon, reader: Reader) -> None:
    """Read every concept's two example sentences; raise `LexiconError` naming those that say something else."""
    wrong = []
    for index, concept in enumerate(lexicon.concepts):
        said = reader.read(concept.asserts).positive
        if index not in said and not any(index in lexicon.concepts[c].ancestors for c in said):
            wrong.append(f"{concept.name} not asserted by {concept.asserts!r}")
        elif index not in said:
            wrong.append(f"{concept.name} only by a descendant in {concept.asserts!r}")
        denied = reader.read(concept.denies)
        if index not in denied.negative or index in denied.positive:
            wrong.append(f"{concept.name} not denied by {concept.denies!r}")
    if wrong:
        raise LexiconError("; ".join(wrong))
