"""From items to scored items: prepare texts, look up, compute what is missing, compose.

This is the whole of a request below HTTP, and the only place that decides what a missing component
means for a reward. Every failure of one item or component is data here; an exception that leaves
`ProfileScorer.score` concerns the request as a whole.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from judges.base import Judgement
from reward_service.caching.base import CacheKey, ScoreCache, pair_digest, text_digest
from reward_service.contracts import ComponentError, ComponentScore, Composite, Pair
from reward_service.observability.telemetry import Telemetry
from reward_service.scoring.composite import compose
from reward_service.scoring.request import Item, Timings
from reward_service.scoring.served_profile import ServedProfile
from reward_service.scoring.single_flight import SingleFlight, WantedScore
from reward_service.text import guards, sections
from reward_service.text.normaliser import Normalised, normalise, stands_for_nothing
from reward_service.workers.judge import as_component_error

_NONE_OLDER: Mapping[str, str] = {}
_YIELD_EVERY = 64, 20_000  # items, or characters of candidates, between two chances for other requests to run


@dataclass(frozen=True, slots=True)
class ScoredItem:
    """The answer to one item, in memory."""

    id: str | None
    composite: Composite
    cache: str
    unmapped_judgement: Judgement | None = None
    """The first judgement among the scores, with evidence offsets into the scored texts."""
    texts: PreparedPair | None = None
    scores: Mapping[str, ComponentScore] = field(default_factory=dict)
    """What each component key gave, where it gave anything."""

    @property
    def judgement(self) -> Judgement | None:
        """The judgement with evidence offsets into the original texts; worked out only where it is shown."""
        return _to_originals(self.unmapped_judgement, self.texts) if self.unmapped_judgement and self.texts else None


class PreparedPair(NamedTuple):
    """One distinct pair: its texts, normalised and cut to the scored section, and where its values are."""

    candidate: Normalised
    reference: Normalised
    prior: str | None
    keys: Mapping[str, CacheKey]
    """Cache key by component key of the profile."""


class _Turns:
    """Lets other requests run every so often while many or long texts are worked through."""

    def __init__(self) -> None:
        self._items = self._characters = 0

    async def taken(self, characters: int) -> None:
        """Before the next item is worked on, which has so many characters."""
        self._items += 1
        self._characters += characters
        if self._items >= _YIELD_EVERY[0] or self._characters >= _YIELD_EVERY[1]:
            self._items = self._characters = 0
            await asyncio.sleep(0)


class ProfileScorer:
    """Scores items with one profile. Holds no state of its own: a reward depends on its item alone."""

    def __init__(
        self, served: ServedProfile, cache: ScoreCache, flights: SingleFlight, telemetry: Telemetry, max_text_chars: int
    ) -> None:
        self.served = served
        self.profile = served.profile
        self._cache = cache
        self._flights = flights
        self._telemetry = telemetry
        self._max_text_chars = max_text_chars

    async def score(
        self,
        items: Sequence[Item],
        deadline: float,
        timings: Timings | None = None,
        older: Mapping[str, str] = _NONE_OLDER,
    ) -> list[ScoredItem]:
        """One `ScoredItem` per item, in order. `deadline` is `time.monotonic()` seconds.

        `older`: by component key, an older fingerprint of it whose stored values come before others.
        """
        prepared, work = await self._prepare(items)
        stored = {f"{older[name]}:{_pair(key)}": key for key, (name, _) in work.items() if name in older}
        known = await self._look_up(stored)
        known |= await self._look_up({key: key for key in work if key not in known})
        fresh = await self._compute({k: v for k, v in work.items() if k not in known}, deadline, timings)
        return await self._compose(items, prepared, known, fresh)

    def prepare(
        self, items: Sequence[Item]
    ) -> tuple[list[PreparedPair | ComponentError], dict[CacheKey, tuple[str, Pair]]]:
        """`_prepare` in one go, for a few items and outside of an event loop."""
        texts: dict[tuple[str, str], Normalised | ComponentError] = {}
        digests: dict[str, bytes] = {}
        work: dict[CacheKey, tuple[str, Pair]] = {}
        wanted = [(item.candidate, item.reference, item.prior) for item in items]
        return [self._prepare_pair(each, texts, digests, work) for each in wanted], work

    async def _prepare(
        self, items: Sequence[Item]
    ) -> tuple[list[PreparedPair | ComponentError], dict[CacheKey, tuple[str, Pair]]]:
        """Texts once per distinct text, keys once per distinct pair; what cannot be scored is an error in its place."""
        texts: dict[tuple[str, str], Normalised | ComponentError] = {}
        digests: dict[str, bytes] = {}
        turns = _Turns()
        pairs: dict[tuple[str, str, str | None], PreparedPair | ComponentError] = {}
        work: dict[CacheKey, tuple[str, Pair]] = {}
        prepared: list[PreparedPair | ComponentError] = []
        for item in items:
            if item.fault is not None:
                prepared.append(item.fault)
                continue
            texts_key = (item.candidate, item.reference, item.prior)
            await turns.taken(len(item.candidate))
            if texts_key not in pairs:
                pairs[texts_key] = self._prepare_pair(texts_key, texts, digests, work)
            prepared.append(pairs[texts_key])
        return prepared, work

    def _prepare_pair(
        self,
        texts_key: tuple[str, str, str | None],
        texts: dict[tuple[str, str], Normalised | ComponentError],
        digests: dict[str, bytes],
        work: dict[CacheKey, tuple[str, Pair]],
    ) -> PreparedPair | ComponentError:
        chosen: list[Normalised | None] = []
        for role, text in zip(("candidate", "reference", "prior"), texts_key, strict=True):
            if text is None:
                chosen.append(None)
                continue
            memo = (text, role)  # a section is chosen, or missed, in its own way for each role
            if memo not in texts:
                texts[memo] = self._prepare_text(text, role)
            found = texts[memo]
            if isinstance(found, ComponentError):
                return found
            # "___" is what de-identification leaves; with normaliser none a "nan" is still there.
            if role == "reference" and (not any(map(str.isalnum, found.text)) or stands_for_nothing(found.text)):
                return ComponentError("empty_reference", "The reference has no text to compare with.")
            chosen.append(found)
        candidate, reference, prior = chosen
        assert candidate is not None
        assert reference is not None
        c, r = _digest(candidate.text, digests), _digest(reference.text, digests)
        plain = pair_digest(c, r, None)
        with_prior = plain if prior is None else pair_digest(c, r, _digest(prior.text, digests))
        keys = {}
        for key, component in self.served.components.items():
            looked_up = f"{component.fingerprint}:{with_prior if component.uses_prior else plain}"
            keys[key] = looked_up
            if looked_up not in work:
                earlier = prior.text if prior is not None and component.uses_prior else None
                work[looked_up] = (key, Pair(candidate.text, reference.text, earlier))
        return PreparedPair(candidate, reference, None if prior is None else prior.text, keys)

    def _prepare_text(self, text: str, role: str) -> Normalised | ComponentError:
        if len(text) > self._max_text_chars:
            return ComponentError(
                "text_too_long",
                f"The {role} has {len(text)} characters; the limit is {self._max_text_chars} (REWARD_MAX_TEXT_CHARS).",
            )
        norm = normalise(text, self.profile.normaliser)
        scope = self.profile.sections.scope
        if scope == "all":
            return norm
        section = sections.select(norm.text, scope)
        if section is not None:
            return norm.cut(section[1], section[1] + len(section[0]))
        if role == "candidate":
            return norm.cut(0, 0)  # it says nothing where it is asked: empty
        if role == "prior" or self.profile.sections.when_reference_lacks == "all":
            return norm
        return ComponentError("section_missing", f"The reference has no {scope} section, which this profile scores.")

    async def _look_up(self, wanted: Mapping[CacheKey, CacheKey]) -> dict[CacheKey, ComponentScore]:
        """One batched look-up for all components of all items; `wanted`: the key to read, the key to answer under."""
        found = await self._cache.get_many(list(wanted)) if wanted else []
        return {key: score for key, score in zip(wanted.values(), found, strict=True) if score is not None}

    async def _compute(
        self, work: Mapping[CacheKey, tuple[str, Pair]], deadline: float, timings: Timings | None
    ) -> dict[CacheKey, ComponentScore | ComponentError]:
        """Fan out by component, join what is already being computed, wait until all is done or time is up."""
        began = time.perf_counter()
        components = self.served.components
        wanted = [
            WantedScore(key, pair, components[name].runner, components[name].permanent)
            for key, (name, pair) in work.items()
        ]
        results: dict[CacheKey, ComponentScore | ComponentError] = {}
        ended: dict[str, float] = {}
        for (key, (name, _)), finished in zip(work.items(), await self._flights.run(wanted, deadline), strict=True):
            results[key] = finished.score
            ended[name] = max(finished.at, ended.get(name, began))
        for name, at in ended.items():
            self._telemetry.latency.labels("component", name).observe(at - began)
            if timings is not None:
                timings.components[name] = round(1e3 * (at - began), 3)
        return results

    async def _compose(
        self,
        items: Sequence[Item],
        prepared: Sequence[PreparedPair | ComponentError],
        known: Mapping[CacheKey, ComponentScore],
        fresh: Mapping[CacheKey, ComponentScore | ComponentError],
    ) -> list[ScoredItem]:
        memo: dict[int, ScoredItem] = {}
        scored: list[ScoredItem] = []
        turns = _Turns()
        for item, ready in zip(items, prepared, strict=True):
            await turns.taken(len(item.candidate))
            if id(ready) not in memo:  # identical pairs share one PreparedPair, and so one answer
                memo[id(ready)] = self.compose_one(ready, known, fresh)
            answer = memo[id(ready)]
            scored.append(replace(answer, id=item.id))
        return scored

    def compose_one(
        self,
        ready: PreparedPair | ComponentError,
        known: Mapping[CacheKey, ComponentScore],
        fresh: Mapping[CacheKey, ComponentScore | ComponentError],
    ) -> ScoredItem:
        """The answer to one pair from the scores of its components: `known` is what was stored, `fresh` the rest."""
        if isinstance(ready, ComponentError):
            return self._nothing(ready)
        scores = {key: self._read(key, ready, known.get(at) or fresh[at]) for key, at in ready.keys.items()}
        hits = sum(at in known for at in ready.keys.values())
        return self._composed(ready, scores, "hit" if hits == len(ready.keys) else "partial" if hits else "miss")

    def _composed(
        self, ready: PreparedPair, scores: Mapping[str, ComponentScore | ComponentError], cache: str
    ) -> ScoredItem:
        # A sentinel's notes have no say: its score may be missing, and a reward must not depend on that.
        weighted = (scores[key] for key, spec in self.profile.components.items() if spec.weight)
        notes = [note for score in weighted if isinstance(score, ComponentScore) for note in score.notes]
        guarded = guards.inspect(ready.candidate, ready.reference, self.profile.guards, notes=notes)
        composite = compose(self.profile, scores, guarded)
        if notes:
            composite = replace(composite, flags=tuple(dict.fromkeys((*composite.flags, *notes))))
        if self.served.absent:
            composite = _with_absent(composite, self.served)
        given = {key: score for key, score in scores.items() if isinstance(score, ComponentScore)}
        judged = (score.judgement for score in given.values() if score.judgement is not None)
        return ScoredItem(None, composite, cache, next(judged, None), ready, given)

    def recompose(self, item: Item, scores: Mapping[str, ComponentScore | ComponentError]) -> ScoredItem:
        """The answer to an item whose components have been scored before; `scores` has every key of the profile."""
        ready = item.fault or self._prepare_pair((item.candidate, item.reference, item.prior), {}, {}, {})
        if isinstance(ready, ComponentError):
            return replace(self._nothing(ready), id=item.id)
        return replace(self._composed(ready, scores, "none"), id=item.id)

    def _nothing(self, error: ComponentError) -> ScoredItem:
        nothing = dict.fromkeys((*self.profile.components, *self.served.absent))
        return ScoredItem(None, Composite(None, "null", nothing, {}, {"item": error}, (), ("item",), ()), "none")

    def _read(
        self, key: str, ready: PreparedPair, score: ComponentScore | ComponentError
    ) -> ComponentScore | ComponentError:
        """The score; of a verdict, what it means to the code of now, whichever process stored it."""
        component = self.served.components[key]
        if component.read is None or isinstance(score, ComponentError) or score.judgement is None:
            return score
        prior = ready.prior if component.uses_prior else None
        try:
            judged = component.read(Pair(ready.candidate.text, ready.reference.text, prior), score.judgement)
        except Exception as error:
            return as_component_error(error)
        return ComponentScore(judged.values, judged.notes, judged)

    def count(self, scored: Sequence[ScoredItem]) -> None:
        """Enter what is answered into the metrics; what was tried again before counts once."""
        name = self.profile.name
        for composite in (one.composite for one in scored):
            self._telemetry.items.labels(name, composite.status).inc()
            if composite.reward is not None:
                self._telemetry.reward.labels(name).observe(composite.reward)
            for key, error in composite.missing.items():
                if key in self.served.absent:
                    continue
                self._telemetry.missing.labels(key, error.code).inc()
            for flag in composite.flags:
                self._telemetry.count_flag(flag)


def _pair(key: CacheKey) -> str:
    return key.partition(":")[2]


def _with_absent(composite: Composite, served: ServedProfile) -> Composite:
    """With the keys of other stages, so that trainers which log flat numbers find equal keys in every stage."""
    why = ComponentError("not_in_stage", f"Stage '{served.name}' of the schedule has no such component.")
    return replace(
        composite,
        components={**composite.components, **dict.fromkeys(served.absent)},
        missing={**composite.missing, **dict.fromkeys(served.absent, why)},
    )


def _digest(text: str, digests: dict[str, bytes]) -> bytes:
    found = digests.get(text)
    if found is None:
        found = digests[text] = text_digest(text)
    return found


def _to_originals(judgement: Judgement, ready: PreparedPair) -> Judgement:
    """The same judgement with evidence offsets into the texts as they were sent."""

    def sent(text: Normalised, span: tuple[int, int] | None) -> tuple[int, int] | None:
        # A judgement from the cache may be another's, and its spans lie where they like.
        return None if span is None or span[1] > len(text.text) else text.to_original(*span)

    evidence = (
        e._replace(candidate=sent(ready.candidate, e.candidate), reference=sent(ready.reference, e.reference))
        for e in judgement.evidence
    )
    return replace(judgement, evidence=tuple(evidence))
