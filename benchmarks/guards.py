"""Evidence for the guards: false alarms on honest reports, shuffles that are noticed, attacks with guards on and off.

`python -m benchmarks.guards [alarms] [shuffles] [attacks] [speed]`, all by default. The attacks are those of
`testbed/abuse`, scored by the real engine; the others read the Indiana development reports (`REWARD_BENCH_DATA`) or, where
there are none, the synthetic studies.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import re
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import yaml

from benchmarks import data
from benchmarks.common import section_parser
from reward_service.profiles.loading import shipped
from reward_service.scoring.engine import Engine
from reward_service.scoring.request import Item, ScoringRequest
from reward_service.settings import Settings
from reward_service.text.guards import GuardSettings, inspect
from reward_service.text.normaliser import Normalised, normalise
from testbed.abuse.attacks import ATTACKS
from testbed.abuse.studies import STUDIES, Study

DEFAULTS = GuardSettings()
_SENTENCE = re.compile(r"(?<=[.?!])\s+")


def _tokens(text: str) -> str:
    return " ".join(re.findall(r"\w+|[^\w\s]", text.lower()))


def _numbered(text: str) -> str:
    return "\n".join(f"{n}. {sentence}" for n, sentence in enumerate(_SENTENCE.split(text), 1))


STYLES: dict[str, Callable[[str], str]] = {
    "as written": str,
    "capitals": str.upper,
    "lower-cased tokens": _tokens,
    "numbered lists": _numbered,
}


def _count(name: str, pairs: Iterable[tuple[Normalised, Normalised]]) -> None:
    """One row: share of pairs with a flag, with a penalty, and which guards penalised."""
    total = flagged = 0
    penalised: Counter[str] = Counter()
    hit = 0
    for candidate, reference in pairs:
        total += 1
        verdict = inspect(candidate, reference, DEFAULTS)
        flagged += bool(verdict.flags)
        if verdict.floor or verdict.multiplier < 1.0:
            hit += 1
            penalised.update(f for f in verdict.flags if getattr(DEFAULTS, f) != "flag")
    by = ", ".join(f"{guard} {100 * n / total:.2f} %" for guard, n in penalised.most_common())
    print(
        f"  {name:<46} n={total:6d}  flagged {100 * flagged / total:5.2f} %  penalised {100 * hit / total:5.2f} %  {by}"
    )


def alarms(options: argparse.Namespace) -> None:
    """Honest candidates: the report itself, other patients' reports, impressions, published systems' outputs."""
    print("== False alarms ==")
    texts = [report.text for report in data.reports()]
    impressions = [report.impression for report in data.reports()]
    rng = random.Random(0)
    others = [[rng.randrange(len(texts)) for _ in range(10)] for _ in texts]
    plain = [normalise(text) for text in texts]
    for style, change in STYLES.items():
        changed = [normalise(change(text)) for text in texts]
        _count(f"itself, {style}", zip(changed, plain, strict=True))
        pairs = ((changed[j], plain[i]) for i, row in enumerate(others) for j in row)
        _count(f"another patient's report, {style}", pairs)
    short = [normalise(text) if text.strip() else None for text in impressions]
    _count("its own impression", ((c, r) for c, r in zip(short, plain, strict=True) if c))
    pairs = ((c, plain[i]) for i, row in enumerate(others) for j in row if (c := short[j]))
    _count("another patient's impression", pairs)
    swapped = ((plain[j], r) for i, row in enumerate(others) for j in row[:1] if (r := short[i]))
    _count("a whole report against an impression", swapped)
    published: dict[str, list[tuple[Normalised, Normalised]]] = {}
    for answer in data.answers():
        published.setdefault(answer.system, []).append((normalise(answer.candidate), normalise(answer.reference)))
    for system, each in published.items():
        _count(system, each)


def shuffles(options: argparse.Namespace) -> None:
    """Share of reports whose shuffled words are flagged as word salad, by length."""
    print("== Shuffled reports ==")
    rng = random.Random(0)
    found: dict[tuple[str, str], list[bool]] = {}
    for report in data.reports():
        words = report.text.split()
        band = "under 16 words" if len(words) < 16 else "16 to 24" if len(words) < 25 else "25 and more"
        whole = rng.sample(words, len(words))
        within = [rng.sample(s.split(), len(s.split())) for s in _SENTENCE.split(report.text)]
        for name, text in (
            ("all words", " ".join(whole)),
            ("within sentences", " ".join(word for sentence in within for word in sentence)),
        ):
            flags = inspect(normalise(text), normalise(report.text), DEFAULTS).flags
            found.setdefault((name, band), []).append("word_salad" in flags)
    for (name, band), hits in sorted(found.items()):
        print(f"  {name:<18} {band:<16} n={len(hits):5d}  flagged {100 * statistics.mean(hits):5.1f} %")


def attacks(options: argparse.Namespace) -> None:
    """Mean reward of each attack, and in how many studies it beats an honest report, under three profiles."""
    print("== Attacks: mean reward (studies in which it beats an honest report) ==")
    base = yaml.safe_load(shipped()["embedded"].read_text(encoding="utf-8"))
    variants = {
        "guards on": base,
        "all guards flag": {**base, "name": "flags", "guards": "flag"},
        "flag, raw strings": {**base, "name": "raw", "guards": "flag", "normaliser": "none"},
    }
    studies = STUDIES[: options.studies]
    table = {name: asyncio.run(_rewards(profile, studies)) for name, profile in variants.items()}
    print(f"  {'':<28}" + "".join(f"{name:>20}" for name in table))
    for row in ("reference", "paraphrase", "terse", *ATTACKS):
        cells = []
        for rewards in table.values():
            each = [(rewards[s.name, row], s) for s in studies if (s.name, row) in rewards]
            above = sum(
                reward > min(rewards[study.name, "paraphrase"], rewards[study.name, "terse"]) for reward, study in each
            )
            mean = statistics.mean(reward for reward, _ in each) if each else float("nan")  # it applies to none
            cells.append(f"{mean:11.2f} ({above:2d}/{len(each):2d})")
        print(f"  {row:<28}" + "".join(f"{cell:>20}" for cell in cells))


async def _rewards(profile: dict[str, object], studies: Sequence[Study]) -> dict[tuple[str, str], float]:
    items: list[Item] = []
    keys: list[tuple[str, str]] = []
    for study in studies:
        texts = {"reference": study.reference, "paraphrase": study.paraphrase, "terse": study.terse}
        texts |= {name: text for name, attack in ATTACKS.items() if (text := attack(study)) is not None}
        for name, text in texts.items():
            keys.append((study.name, name))
            items.append(Item(str(len(items)), text, study.reference))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{profile['name']}.yaml"
        path.write_text(yaml.safe_dump(profile), encoding="utf-8")
        async with Engine(Settings(profiles=(str(path),))) as engine:
            answers = await engine.score(ScoringRequest(items, timeout_s=900))
    found = {}
    for key, answer in zip(keys, answers, strict=True):
        assert answer.composite.reward is not None, (key, answer.composite.missing)
        found[key] = answer.composite.reward
    return found


def speed(options: argparse.Namespace) -> None:
    """Normaliser and guards on a pair of reports, in processor time."""
    print("== Cost of a pair ==")
    texts = [report.text for report in data.reports()]
    pairs = list(zip(texts, texts[1:] + texts[:1], strict=True))
    for name, run in (
        ("normaliser", lambda c, r: (normalise(c), normalise(r))),
        ("both", lambda c, r: inspect(normalise(c), normalise(r), DEFAULTS)),
    ):
        times = []
        for _ in range(5):
            start = time.process_time()
            for candidate, reference in pairs:
                run(candidate, reference)
            times.append((time.process_time() - start) / len(pairs))
        print(f"  {name:<12} {1e3 * statistics.median(times):.3f} ms")


SECTIONS = {"alarms": alarms, "shuffles": shuffles, "attacks": attacks, "speed": speed}


def main() -> None:
    parser = section_parser(__doc__, SECTIONS)
    parser.add_argument("--studies", type=int, help="how many of the studies are attacked; all by default")
    options = parser.parse_args()
    for name in options.sections:
        SECTIONS[name](options)


if __name__ == "__main__":
    main()
