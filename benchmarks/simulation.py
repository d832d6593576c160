"""One training step through the service, as discrete events: posts, micro-batches, judge servers, stragglers.

Times are seconds. What one thing costs is measured elsewhere (`benchmarks.scaling`, docs/metrics.md) or assumed and
said so; here is only how these things wait for one another.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

import simpy

Events = Generator[Any, Any, None]


@dataclass(frozen=True, slots=True)
class Load:
    """A step's pairs, in groups that share a reference, posted over so many connections."""

    pairs: int
    per_post: int = 64
    connections: int = 64
    group: int = 16


@dataclass(frozen=True, slots=True)
class Ingress:
    """HTTP processes, each on a core of its own."""

    processes: int
    post_s: float
    """Processor time of a post, beside that of its pairs."""
    pair_s: float
    """Of a pair: parsing, text metrics, rules, answer."""


@dataclass(frozen=True, slots=True)
class Encoder:
    """Model workers; each takes what waits, up to a batch, whenever it is free."""

    workers: int
    batch_s: float
    """Of a batch, beside that of its pairs."""
    pair_s: float
    most: int = 64


@dataclass(frozen=True, slots=True)
class Judge:
    """Servers of an LLM judge. Groups stick to one, and each works at `concurrency` pairs at a time.

    The first pair of a group goes alone, so that the others find its prefix in the server's cache.
    """

    servers: int
    concurrency: int
    alone_s: float
    """Mean time of an answer on a server that has nothing else."""
    slot_s: float = 0.0
    """What each pair in work adds to it; how many those are is looked at when an answer begins."""
    spread: float = 0.0
    """Standard deviation of the logarithm of that time: answers differ in length, and a few are stragglers."""
    shares: tuple[int, ...] = ()
    """Groups on each server; by chance where it is left out, as a hash spreads them."""

    def mean_s(self, working: int) -> float:
        """Mean time of an answer while so many pairs are in work."""
        return self.alone_s + self.slot_s * working


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one step."""

    seconds: float
    """Until the last answer."""
    busy: dict[str, float]
    """Share of that time that the processes, workers and slots of each kind have worked."""


def step(
    load: Load, ingress: Ingress, encoder: Encoder | None = None, judge: Judge | None = None, seed: int = 0
) -> Outcome:
    """All pairs at once, until every one has its reward."""
    env = simpy.Environment()
    service = _Service(env, load, ingress, encoder, judge, random.Random(seed))
    env.run(env.all_of([env.process(service.connection()) for _ in range(load.connections)]))
    seconds = float(env.now)
    sizes = {"ingress": ingress.processes, "encoder": encoder.workers if encoder else 0,
             "judge": judge.servers * judge.concurrency if judge else 0}  # fmt: skip
    busy = {kind: service.worked[kind] / (size * seconds) for kind, size in sizes.items() if size and seconds}
    return Outcome(seconds, busy)


class _Service:
    def __init__(
        self,
        env: simpy.Environment,
        load: Load,
        ingress: Ingress,
        encoder: Encoder | None,
        judge: Judge | None,
        rng: random.Random,
    ) -> None:
        self._env, self._ingress, self._encoder, self._judge, self._rng = env, ingress, encoder, judge, rng
        self.worked = {"ingress": 0.0, "encoder": 0.0, "judge": 0.0}
        sizes = [min(load.per_post, load.pairs - at) for at in range(0, load.pairs, load.per_post)]
        self._posts = deque((at * load.per_post, size) for at, size in enumerate(sizes))
        self._group = load.group
        self._processes = simpy.Resource(env, ingress.processes)
        self._waiting: deque[tuple[simpy.Event, int]] = deque()
        """For the encoder: whom to tell, and how many of its pairs are left."""
        self._arrived = env.event()
        for _ in range(encoder.workers if encoder else 0):
            env.process(self._batches())
        if judge:
            self._servers = [_Server(judge.concurrency) for _ in range(judge.servers)]
            self._server_of = self._spread(math.ceil(load.pairs / load.group), judge)
            self._cold: dict[int, list[_Post]] = {}
            """Groups whose first pair has not been answered yet, with the pairs that wait for it."""
            self._warm: set[int] = set()

    def _spread(self, groups: int, judge: Judge) -> Sequence[int]:
        if not judge.shares:
            return [self._rng.randrange(judge.servers) for _ in range(groups)]
        placed = [server for server, share in enumerate(judge.shares) for _ in range(share)]
        self._rng.shuffle(placed)
        return placed

    def connection(self) -> Events:
        """A client that posts one after another."""
        while self._posts:
            first, size = self._posts.popleft()
            with self._processes.request() as turn:
                yield turn
                yield from self._work("ingress", self._ingress.post_s + size * self._ingress.pair_s)
            parts = []
            if self._encoder:
                parts.append(self._env.event())
                self._waiting.append((parts[0], size))
                if not self._arrived.triggered:
                    self._arrived.succeed()
            if self._judge:
                post = _Post(self._env.event(), size)
                parts.append(post.answered)
                for pair in range(first, first + size):
                    self._ask(pair // self._group, post)
            yield self._env.all_of(parts)

    def _work(self, kind: str, seconds: float) -> Events:
        self.worked[kind] += seconds
        yield self._env.timeout(seconds)

    def _batches(self) -> Events:
        """One model worker."""
        assert self._encoder is not None
        while True:
            while not self._waiting:
                if self._arrived.triggered:
                    self._arrived = self._env.event()
                yield self._arrived
            size, done = 0, []
            while self._waiting and size < self._encoder.most:
                told, left = self._waiting.popleft()
                taken = min(left, self._encoder.most - size)
                size += taken
                if taken < left:
                    self._waiting.appendleft((told, left - taken))
                else:
                    done.append(told)
            yield from self._work("encoder", self._encoder.batch_s + size * self._encoder.pair_s)
            for told in done:
                told.succeed()

    # One event for each pair, because there are millions: the slots are counted here.

    def _ask(self, group: int, post: _Post) -> None:
        """The first pair of a group goes alone; the others follow when it is answered."""
        if group in self._cold:
            self._cold[group].append(post)
            return
        if group not in self._warm:
            self._cold[group] = []
        self._send(group, post)

    def _send(self, group: int, post: _Post) -> None:
        server = self._servers[self._server_of[group]]
        if not server.free:
            server.waiting.append((group, post))
            return
        assert self._judge is not None
        server.free -= 1
        spread = self._judge.spread
        factor = self._rng.lognormvariate(-spread * spread / 2, spread) if spread else 1.0
        seconds = self._judge.mean_s(self._judge.concurrency - server.free) * factor
        self.worked["judge"] += seconds
        answer = self._env.timeout(seconds)
        answer.callbacks.append(lambda _: self._answered(group, post))

    def _answered(self, group: int, post: _Post) -> None:
        server = self._servers[self._server_of[group]]
        server.free += 1
        if server.waiting:
            self._send(*server.waiting.popleft())
        if (followers := self._cold.pop(group, None)) is not None:
            self._warm.add(group)
            for follower in followers:
                self._send(group, follower)
        post.left -= 1
        if not post.left:
            post.answered.succeed()


@dataclass(slots=True)
class _Post:
    """A post whose pairs are with judges."""

    answered: Any
    left: int


class _Server:
    """Of the judge: its free slots, and who waits for one."""

    def __init__(self, slots: int) -> None:
        self.free = slots
        self.waiting: deque[tuple[int, _Post]] = deque()
