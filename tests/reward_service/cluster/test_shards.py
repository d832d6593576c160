"""The folder of a run: what is read from it is what was written, and what was killed is done again."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_service.cluster import score, shards
from reward_service.cluster.shards import Shards
from reward_service.errors import InvalidRequest, PinMismatch, ServiceError
from reward_service.evaluation.output import Output
from reward_service.evaluation.reading import columns, entries, formats
from reward_service.evaluation.reading.entries import Entry

RUN, ANSWER = {"input": "d1", "detail": "full"}, {"fingerprint": "sha256:1", "signature": "s", "profile": "text"}
_text = st.text(st.characters(codec="utf-8") | st.just("\ud800"), max_size=8)
_texts = st.lists(_text, min_size=1, max_size=3).map(tuple)
_carried = st.dictionaries(_text, _text | st.integers() | st.none() | st.floats(allow_nan=False), max_size=2)
_entry = st.builds(Entry, _text, _text, _texts, _texts, st.none() | _text, st.booleans(), st.booleans(), _carried)


@given(st.lists(_entry, max_size=12), st.integers(1, 20))
def test_entries_come_back_in_order_in_shards_of_so_many_pairs(given: list[Entry], most: int) -> None:
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards, "_SHARD_PAIRS", most)
        sizes = Shards(Path(name) / "run").begin(given, RUN, ANSWER).sizes
        again = Shards(Path(name) / "run")
        assert again.begun is not None
        assert again.begun.sizes == sizes
        assert again.left() == list(range(len(sizes)))
        read = [list(again.entries(number)) for number in range(len(sizes))]
        assert [entry for shard in read for entry in shard] == given
        # All but the last have reached the bound, and none had reached it before its last entry.
        pairs = [[entry.pairs for entry in shard] for shard in read]
        assert all(sum(counts) >= most for counts in pairs[:-1])
        assert all(sum(counts[:-1]) < most for counts in pairs)


def test_a_shard_is_done_when_all_its_records_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "_SHARD_PAIRS", 1)
    run = Shards(tmp_path / "run")
    run.begin([Entry(f"Line {i}", str(i), ("a",), ("b",)) for i in range(3)], RUN, ANSWER)
    run.write(2, [b"2\n"])

    def killed() -> list[bytes]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run.write(0, (line for _ in range(2) for line in killed()))
    assert Shards(tmp_path / "run").left() == [0, 1]
    run.write(1, [b"1\n"])
    run.write(0, [b"0a\n", b"0b\n"])
    run.write(0, [b"0a\n", b"0b\n"])  # by two actors, as when one was taken for dead
    assert run.left() == []
    assert list(run.records()) == [b"0a\n", b"0b\n", b"1\n", b"2\n"]
    run.remove()
    assert Shards(tmp_path / "run").begun is None


def test_what_was_killed_while_it_began_begins_anew(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "entries-000000.jsonl").write_bytes(b"{}\n")
    run = Shards(tmp_path / "run")
    assert run.begun is None
    run.begin([], RUN, ANSWER)
    assert run.left() == []
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["run.json"]


def test_only_the_same_run_is_continued(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Same texts, same options, same fingerprint; else the user says --restart."""
    source, output = tmp_path / "in.csv", str(tmp_path / "out.jsonl")
    source.write_text("id,candidate,reference\n1,Clear.,Clear.\n2,Effusion.,Clear.\n")
    with formats.opened([str(source)]) as sources:
        read = entries.Input(sources, columns.Columns())
        begin = lambda run, answer, restart=False: score._begun(read, output, run, answer, restart=restart)  # noqa: E731
        assert begin(RUN, ANSWER).left() == [0]
        assert begin(RUN, ANSWER).left() == [0]
        assert "continuing after 0 rows" in capsys.readouterr().err
        with pytest.raises(InvalidRequest, match="differs: input, detail"):
            begin({"input": "d2", "detail": "reward"}, ANSWER)
        with pytest.raises(PinMismatch, match="sha256:1, and sha256:2 is served now"):
            begin(RUN, {**ANSWER, "fingerprint": "sha256:2"})
        assert begin({"input": "d2"}, ANSWER, restart=True).begun.run == {"input": "d2"}
        score._begun(read, output, RUN, ANSWER, restart=True).remove()
        out = Output(output, RUN)
        out.write({"id": "1", "reward": 0.5}, ANSWER)
        out.close()
        with pytest.raises(InvalidRequest, match="without --ray"):
            begin(RUN, ANSWER)


def test_errors_of_actors_are_told_as_they_are() -> None:
    wrapped = RuntimeError("Ray's")
    wrapped.__cause__ = PinMismatch("ours")
    with pytest.raises(PinMismatch, match="ours"), score._own_errors():
        raise wrapped
    with pytest.raises(RuntimeError, match="another"), score._own_errors():
        raise RuntimeError("another")
    assert issubclass(PinMismatch, ServiceError)
