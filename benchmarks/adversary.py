"""What an adversary gets who has nothing but the reward: constants, word-level climbs, edits in both directions.

    python -m benchmarks.adversary [constants climbs edits] [--data] [--profile text] [--texts 6]

The searches of `testbed/abuse/search.py`, with fixed seeds and a fixed number of scorings, about a minute each. They
run on the synthetic studies; with `--data` on development reports (`REWARD_BENCH_DATA`). Rewards are those of a profile
with its guards; `clinical` is the clinical component alone.
"""

from __future__ import annotations

import argparse
import random
import statistics
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from benchmarks import data
from benchmarks.common import section_parser, table
from judges.rules.judge import RulesJudge
from judges.scores import MAJOR
from reward_service import Scorer
from testbed.abuse.majors import MAJORS
from testbed.abuse.search import EDITS, FORM, WORDS, Found, Score, climb, constant
from testbed.abuse.studies import NORMAL_REPORT, STUDIES

NEUTRAL = "Chest radiograph."
SHOWN = 150
"""Characters of a text that are printed."""


class Target(NamedTuple):
    """A reference, with an honest report of the same study."""

    name: str
    reference: str
    honest: str


class Rewards:
    """Candidates against references in one profile, in this process."""

    def __init__(self, profile: str) -> None:
        self._scorer = Scorer(profile)

    def results(self, pairs: Sequence[tuple[str, str]]) -> Sequence[dict[str, Any]]:
        scored: Sequence[dict[str, Any]] = self._scorer.score([c for c, _ in pairs], [r for _, r in pairs])
        return scored

    def against(self, references: Sequence[str], of: Callable[[dict[str, Any]], float]) -> Score:
        """Candidates -> the mean over these references of one number of each result."""

        def score(candidates: Sequence[str]) -> list[float]:
            found = self.results([(c, r) for c in candidates for r in references])
            size = len(references)
            values = [of(result) for result in found]
            return [statistics.mean(values[i : i + size]) for i in range(0, len(values), size)]

        return score

    def close(self) -> None:
        self._scorer.close()


def reward(result: dict[str, Any]) -> float:
    return float(result["reward"])


def clinical(result: dict[str, Any]) -> float:
    return float(result["components"]["clinical"])


def targets(options: argparse.Namespace) -> list[Target]:
    """The synthetic studies, or development reports with their impression as the honest candidate."""
    if not options.data:
        return [Target(study.name, study.reference, study.paraphrase) for study in STUDIES]
    reports = [r for r in data.reports() if r.impression.strip() and len(r.text) > 2 * len(r.impression)]
    chosen = random.Random(0).sample(reports, min(len(reports), options.texts * 4))
    return [Target(report.id, report.text, report.impression) for report in chosen]


def with_major(judge: RulesJudge, found: Sequence[Target]) -> list[Target]:
    """Those with a finding that weighs as much as a pneumothorax does."""
    read = judge.encode([target.reference for target in found])
    concepts = judge.lexicon.concepts
    return [t for t, r in zip(found, read, strict=True) if any(concepts[c].weight >= MAJOR for c in r.positive)]


def constants(rewards: Rewards, options: argparse.Namespace) -> None:
    """The best text that is the same for every study, by the clinical score: over all, and over those with a finding."""
    every = targets(options)
    majors = [Target(text, text, text) for text in MAJORS]
    rows: list[tuple[str, ...]] = [("constant for", "searched for", "clinical", "reward", "normal report", "text")]
    chosen_by_name = {"all studies": every, "those with a major finding": with_major(RulesJudge(), every)}
    if not options.data:
        chosen_by_name["a major finding each, of all kinds"] = majors
    for name, chosen in chosen_by_name.items():
        references = [target.reference for target in chosen]
        for what, of in (("clinical", clinical), ("reward", reward)):
            found = constant(rewards.against(references, of), random.Random(0))
            both = [rewards.against(references, each)([found.text])[0] for each in (clinical, reward)]
            rows.append((name, what, *(f"{value:+.3f}" for value in both), f"{found.start:+.3f}", shown(found.text)))
    print(table(rows), end="\n\n")


def climbs(rewards: Rewards, options: argparse.Namespace) -> None:
    """Word by word from an honest report, from the normal report and from a text that says nothing."""
    rows: list[tuple[str, ...]] = [("climb from", "study", "start", "end", "gain", "flags", "text")]
    gains: dict[str, list[float]] = {}
    for target in targets(options)[: options.texts]:
        starts = (
            ("honest, by form", target.honest, FORM),
            ("honest", target.honest, WORDS),
            ("normal report", NORMAL_REPORT, WORDS),
            ("neutral", NEUTRAL, WORDS),
        )
        for name, start, words in starts:
            found = climb(rewards.against([target.reference], reward), start, random.Random(target.name), words=words)
            gains.setdefault(name, []).append(found.gain)
            rows.append((name, target.name, *climbed(rewards, found, target.reference)))
    print(table(rows), end="\n\n")
    for name, each in gains.items():
        print(f"gain from {name}: mean {statistics.mean(each):+.3f}, largest {max(each):+.3f}")
    print()


def climbed(rewards: Rewards, found: Found, reference: str) -> tuple[str, ...]:
    (result,) = rewards.results([(found.text, reference)])
    numbers = (f"{value:+.3f}" for value in (found.start, found.score, found.gain))
    return (*numbers, " ".join(result["flags"]) or "-", shown(found.text))


def edits(rewards: Rewards, options: argparse.Namespace) -> None:
    """Each edit of an honest report against its reference, and the honest report against the edited reference."""
    rows: list[tuple[str, ...]] = [("edit", "mean cost", "pays in", "mean cost, reversed", "pays in")]
    chosen = targets(options)
    honest = [reward(r) for r in rewards.results([(t.honest, t.reference) for t in chosen])]
    for name, edit in EDITS.items():
        after = [reward(r) for r in rewards.results([(edit(t.honest), t.reference) for t in chosen])]
        edited = [reward(r) for r in rewards.results([(t.honest, edit(t.reference)) for t in chosen])]
        cells: list[str] = []
        for values in (after, edited):
            costs = [one - other for one, other in zip(honest, values, strict=True)]
            paid = sum(cost < -1e-9 for cost in costs)
            cells += [f"{statistics.mean(costs):+.3f}", f"{paid} of {len(costs)}"]
        rows.append((name, *cells))
    print(table(rows), end="\n\n")


def shown(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= SHOWN else f"{flat[:SHOWN]}…"


SECTIONS = {"constants": constants, "climbs": climbs, "edits": edits}


def main() -> None:
    parser = section_parser(__doc__, SECTIONS)
    parser.add_argument("--data", action="store_true", help="development reports instead of the synthetic studies")
    parser.add_argument("--profile", default="text", help="whose reward is sought (default: text)")
    parser.add_argument("--texts", type=int, default=6, help="studies that are climbed (default: 6)")
    options = parser.parse_args()
    rewards = Rewards(options.profile)
    try:
        for name in options.sections:
            print(f"== {name} ==")
            SECTIONS[name](rewards, options)
    finally:
        rewards.close()


if __name__ == "__main__":
    main()
