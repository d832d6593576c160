"""Lays a pair out as a prompt that a server's prefix cache can share, and as the schema of its answer.

Order is everything: instructions and worked examples (the same for all), then the reference (the same for a
group), then the candidate, then one closing line. Nothing that varies stands before what does not.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from judges import injection
from judges.injection import addresses_grader
from judges.vllm.errors import EmptyReference, TooManyStatements
from judges.vllm.settings import Examination, Variant, VllmJudgeSettings
from judges.vllm.statements import Statement, clean, has_markers, reads_normal, show, split

SCHEMA_VERSION: Final = 1
REPAIR: Final = "Your answer before was not valid: {reason}. Answer again, with one JSON object of the form described."
WITHHELD: Final = "[withheld]"
_FOLDER: Final = Path(__file__).parent

MOST_CHARACTERS: Final = 6000
"""Of a candidate: several times a long report, and less than the context length that the docs ask of a server."""


@dataclass(frozen=True, slots=True)
class Reference:
    """What a group of candidates shares: the statements, which of them are normal, and the text of the prompt."""

    statements: tuple[Statement, ...]
    normal: frozenset[int]
    """Positions of statements that only say that something is normal or absent."""
    key: str
    """Derived from reference and prior: the delimiter of the blocks, and what requests are grouped by."""
    text: str
    shown: tuple[str, ...]
    """The statements' texts as the model may see them."""
    earlier: tuple[str, ...]
    """The same of the earlier report; empty without one."""


@dataclass(frozen=True, slots=True)
class NumberedPair:
    """One pair, ready to ask about."""

    reference: Reference
    candidate: tuple[Statement, ...]
    withheld: frozenset[int]
    """Positions of candidate statements that address the grader; the model never sees them."""
    notes: tuple[str, ...]
    """`injection_pattern` where something was withheld, `too_many_statements` where the rest was, `chat_markers`."""
    text: str
    """The user message: reference, earlier report, candidate, closing line."""
    shown: tuple[str, ...]
    """The candidate's statements as the model may see them."""

    @property
    def is_asked(self) -> bool:
        """Whether a model is asked: an empty candidate says nothing, whoever judges."""
        return bool(self.candidate)


def _block(title: str, key: str, letter: str, texts: list[str]) -> str:
    lines = [show(f"{letter}{n}", text) for n, text in enumerate(texts, 1)]
    return "\n".join([f"[{title} {key}]", *lines, f"[END {title} {key}]", ""])


def _statements(report: str) -> tuple[tuple[Statement, ...], list[str]]:
    """The statements, and their texts as the model may see them."""
    cleaned = [(s, clean(s.text)) for s in split(report)]
    cleaned = [(s, text) for s, text in cleaned if any(map(str.isalnum, text))]  # else nothing but chat markers
    return tuple(s for s, _ in cleaned), [text for _, text in cleaned]


def _at_most(limit: int, report: str, what: str) -> tuple[tuple[Statement, ...], list[str]]:
    statements, texts = _statements(report)
    if len(statements) > limit:
        raise TooManyStatements(f"the {what} has {len(statements)} statements; max_statements is {limit}")
    return statements, texts


@functools.lru_cache(maxsize=2048)
def read_reference(reference: str, prior: str | None, limit: int) -> Reference:
    """Splits and lays out a reference with its earlier report; remembered, since a group asks for it many times."""
    statements, texts = _at_most(limit, reference, "reference")
    if not statements:
        raise EmptyReference("the reference holds no statement")
    # The candidate's author does not see the reference, so it cannot forge a delimiter that depends on it.
    key = hashlib.sha256(repr((reference, prior)).encode()).hexdigest()[:12]
    text = _block("REFERENCE", key, "R", texts)
    earlier = [] if prior is None else _at_most(limit, prior, "earlier report")[1]
    if earlier:
        text += _block("EARLIER REPORT", key, "H", earlier)
    normal = frozenset(i for i, s in enumerate(statements) if reads_normal(s.text))
    return Reference(statements, normal, key, text, tuple(texts), tuple(earlier))


def read_pair(candidate: str, reference: str, prior: str | None, limit: int) -> NumberedPair:
    """The pair's statements and its user message.

    Raises `EmptyReference`, and `TooManyStatements` for a reference or an earlier report.
    """
    head = read_reference(reference, prior, limit)
    statements, texts = _statements(candidate)
    withheld: set[int] = set()
    kept = sum(total <= MOST_CHARACTERS for total in itertools.accumulate(map(len, texts)))
    kept = kept if len(statements) <= limit else min(kept, limit - 1)
    if rest := statements[kept:]:
        # No failure, which the policy could bring about at will: what is beyond the limit is one false statement.
        start, end = rest[0].start, rest[-1].end
        statements = (*statements[:kept], Statement(candidate[start:end], start, end))
        texts, withheld = texts[: kept + 1], {kept}
    if addresses_grader("\n".join(texts), reference):  # one search, mostly; where it finds one, which are they?
        withheld |= {i for i, text in enumerate(texts) if addresses_grader(text, reference)}
        # An attack may be spread over sentences, so that only two of them together show it.
        for i in range(1, len(texts)):
            if not withheld & {i - 1, i} and addresses_grader(f"{texts[i - 1]}\n{texts[i]}", reference):
                withheld |= {i - 1, i}
    texts = [WITHHELD if i in withheld else text for i, text in enumerate(texts)]
    text = head.text + _block("CANDIDATE", head.key, "P", texts) + _read("closing.txt")
    notes = ("injection_pattern",) * bool(withheld - ({kept} if rest else set()))
    notes += ("too_many_statements",) * bool(rest) + ("chat_markers",) * has_markers(candidate)
    return NumberedPair(head, statements, frozenset(withheld), notes, text, tuple(texts))


@functools.cache
def _read(name: str) -> str:
    return (_FOLDER / name).read_text("utf-8")


@functools.cache
def examples(variant: Variant) -> list[dict[str, Any]]:
    """The worked examples as data: name, reference, prior, candidate, answer."""
    loaded: list[dict[str, Any]] = orjson.loads(_read(f"{variant}_examples.json"))
    return loaded


@functools.cache
def instructions(variant: Variant, examination: Examination = "chest X-ray") -> str:
    """The system message: rubric, format and worked examples. The same bytes for every pair."""
    rubric = _read(f"{variant}.txt")
    if examination == "any":
        rubric = rubric.replace("chest X-ray report", "radiology report")
    parts = [rubric, _read("format.txt"), "Worked examples"]
    for number, example in enumerate(examples(variant), 1):
        pair = read_pair(example["candidate"], example["reference"], example["prior"], 60)
        answer = orjson.dumps(example["answer"]).decode()
        parts.append(f"Example {number}\n{pair.text}{answer}\n")
    return "\n".join(parts)


def sampling(settings: VllmJudgeSettings, vote: int) -> dict[str, float | int]:
    """Parameters of one vote; a single one takes the likeliest token."""
    temperature = 0.0 if settings.votes == 1 else settings.vote_temperature
    return {"temperature": temperature, "top_p": 1.0, "seed": vote}


def request(settings: VllmJudgeSettings, pair: NumberedPair, vote: int, complaint: str = "") -> bytes:
    """The body of one request. `complaint` is our own words, and stands last so that the prefix stays shared."""
    references, candidates = len(pair.reference.statements), len(pair.candidate)
    return orjson.dumps(
        {
            "model": settings.model,
            "messages": [
                {"role": "system", "content": instructions(settings.variant, settings.examination)},
                {"role": "user", "content": pair.text + complaint},
            ],
            **sampling(settings, vote),
            "max_tokens": longest_answer(references, candidates),
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "verdict", "strict": True, "schema": schema(references, candidates)},
            },
            **settings.extra_body,
        }
    )


def fingerprints(settings: VllmJudgeSettings) -> dict[str, str]:
    """sha256 of what a verdict depends on: system message, closing line, requests as they are sent, what is withheld.

    How a report is cut and laid out, and which pair is asked about at all, is told by the requests for sample pairs:
    the code that does it may change.
    """
    texts = {
        "instructions": instructions(settings.variant, settings.examination),
        "closing": _read("closing.txt"),
        "repair": REPAIR,
        "requests": _sample_requests(settings),
    }
    hashes = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}
    return {**hashes, "injection": injection.SHA256}


def _sample_requests(settings: VllmJudgeSettings) -> str:
    """What is asked about the pairs of `samples.json`: every kind of text that is treated in its own way."""
    requests = []
    for sample in samples():
        pair = read_pair(sample["candidate"], sample["reference"], sample["prior"], sample["max_statements"])
        bodies = [request(settings, pair, vote, said) for vote in range(settings.votes) for said in ("", "complaint")]
        requests.append([body.decode() for body in bodies] if pair.is_asked else None)
    return orjson.dumps(requests).decode()


@functools.cache
def samples() -> list[dict[str, Any]]:
    """Pairs that hold every kind of text that is cut, cleaned, shown or withheld in its own way."""
    loaded: list[dict[str, Any]] = orjson.loads(_read("samples.json"))
    return loaded


@functools.lru_cache(maxsize=1024)
def schema(references: int, candidates: int) -> dict[str, Any]:
    """JSON schema of the answer for R1..Rn and P1..Pm: closed, every id enumerated, every list bounded.

    It travels beside the prompt, not in it, so that it does not break the shared prefix.
    """
    ref = {"enum": [f"R{n}" for n in range(1, references + 1)]}
    cand = {"enum": [f"P{n}" for n in range(1, candidates + 1)]}
    flag = {"type": "boolean"}

    def items(most: int, **properties: Any) -> dict[str, Any]:
        entry = {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}
        return {"type": "array", "maxItems": most, "items": entry}

    lists: dict[str, Any] = {
        "matched": items(references + candidates, ref=ref, cand=cand),
        "location": items(references, ref=ref, cand=cand, significant=flag),
        "severity": items(references, ref=ref, cand=cand, significant=flag),
        "missing": items(references, ref=ref, significant=flag),
        "false": items(candidates, cand=cand, significant=flag),
        "comparison_added": items(candidates, cand=cand, significant=flag),
        "comparison_omitted": items(references, ref=ref, significant=flag),
        "normal": {"type": "array", "maxItems": candidates, "items": cand},
    }
    return {"type": "object", "properties": lists, "required": [*lists], "additionalProperties": False}


def longest_answer(references: int, candidates: int) -> int:
    """Upper bound on the tokens of an answer that says of each statement once what it is, and once how it compares.

    At 24 tokens for the longest entry.
    """
    return 128 + 24 * 2 * (references + candidates)
