"""The arithmetic of the simulation, on steps that can be worked out by hand."""

from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("simpy", reason="needs simpy: pip install simpy")
from benchmarks.simulation import Encoder, Ingress, Judge, Load, step

FREE = Ingress(1, 0.0, 0.0)


def test_processes_share_posts_and_workers_batches() -> None:
    posts = Load(80, per_post=8, connections=5)
    assert step(posts, Ingress(1, 1.0, 0.5)).seconds == 10 * (1.0 + 8 * 0.5)
    assert step(posts, Ingress(2, 1.0, 0.5)).seconds == 5 * 5.0
    assert step(posts, Ingress(5, 1.0, 0.5)).busy == {"ingress": 1.0}
    # 64 pairs in one post: four batches of 16 by one worker, two by each of two.
    one = Load(64, per_post=64, connections=1)
    assert step(one, FREE, Encoder(1, 1.0, 0.25, most=16)).seconds == 4 * (1.0 + 16 * 0.25)
    # A closed loop of eight connections: whoever comes first is a batch, the seven others are the next, and so on.
    assert step(Load(80, per_post=1, connections=8), FREE, Encoder(1, 1.0, 0.0, most=64)).seconds == 80 / 8 * 2


def test_judges_work_at_their_concurrency_and_stragglers_come_last() -> None:
    one = Load(12, per_post=12, connections=1, group=3)
    assert step(one, FREE, judge=Judge(1, 4, 2.0)).seconds == 12 / 4 * 2.0
    firsts = "two first ones alone, then four pairs for three slots"
    assert step(one, FREE, judge=Judge(2, 3, 2.0, shares=(2, 2))).seconds == 2.0 + 2 * 2.0, firsts
    assert step(one, FREE, judge=Judge(2, 3, 2.0, shares=(4, 0))).seconds == 12 / 3 * 2.0, "the fuller one decides"
    # Three at once, begun one after another: the third takes 1 + 3 * 0.5.
    assert step(Load(3, 3, 1, group=1), FREE, judge=Judge(1, 3, 1.0, 0.5)).seconds == 2.5
    many = Load(4096, per_post=64, connections=64)
    steady = step(many, FREE, judge=Judge(2, 64, 2.0, shares=(128, 128))).seconds
    uneven = statistics.mean(
        step(many, FREE, judge=Judge(2, 64, 2.0, spread=0.5, shares=(128, 128)), seed=seed).seconds for seed in range(3)
    )
    assert steady == 4096 / 128 * 2.0
    assert steady < uneven < 1.3 * steady


@given(
    st.integers(1, 200), st.integers(1, 40), st.integers(1, 9), st.integers(1, 3), st.integers(1, 3), st.integers(0, 9)
)
def test_a_step_takes_as_long_as_its_narrowest_part_and_no_longer_than_all_in_turn(
    pairs: int, per_post: int, connections: int, size: int, servers: int, seed: int
) -> None:
    load = Load(pairs, per_post, connections)
    ingress, encoder, judge = (
        Ingress(size, 0.01, 0.002),
        Encoder(size, 0.05, 0.001, most=8),
        Judge(servers, size, 0.3, 0.01, 0.4),
    )
    outcome = step(load, ingress, encoder, judge, seed)
    posts = -(-pairs // per_post)
    cpu = (posts * 0.01 + pairs * 0.002) / size
    batches = (-(-pairs // 8) * 0.05 + pairs * 0.001) / size
    assert outcome.seconds >= max(cpu, batches) - 1e-9
    assert all(0 < share <= 1 + 1e-9 for share in outcome.busy.values())
    again = step(load, ingress, encoder, judge, seed)
    assert again == outcome, "the same seed gives the same step"
    worked = outcome.busy["ingress"] * size + outcome.busy["encoder"] * size + outcome.busy["judge"] * servers * size
    assert worked * outcome.seconds >= outcome.seconds - 1e-9, "somebody works at every moment"
