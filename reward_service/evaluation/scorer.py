"""`Scorer`: rewards in Python and in notebooks, without a server, by the same way as files and HTTP."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import json
import operator
import re
import threading
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from html import escape
from typing import Any, TypeVar, overload

from reward_service.errors import InvalidRequest, quoted
from reward_service.evaluation import records
from reward_service.evaluation.reading.columns import Columns, likely, parts
from reward_service.evaluation.reading.entries import Entry, Input
from reward_service.evaluation.reading.formats import Row
from reward_service.evaluation.score_file import answers, chunks
from reward_service.evaluation.senders import TIMEOUT_S, Send, here, remote
from reward_service.evaluation.tables import Tables, shown
from reward_service.viewer.pair import pair, style

T = TypeVar("T")
_SHOWN = 20
References = str | Sequence[str] | Sequence[Sequence[str]]


class Scores(Sequence[dict[str, Any]]):
    """One result for each candidate, in order, as `/score` answers it at `detail: full`."""

    def __init__(self, results: Sequence[dict[str, Any]], fingerprint: str, signature: str) -> None:
        self._results = results
        self.fingerprint = fingerprint
        self.signature = signature

    @property
    def rewards(self) -> list[float | None]:
        """The rewards alone; None where there is none, which `missing` explains."""
        return [result["reward"] for result in self._results]

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> Scores: ...
    def __getitem__(self, index: int | slice) -> dict[str, Any] | Scores:
        if isinstance(index, slice):
            return Scores(self._results[index], self.fingerprint, self.signature)
        return self._results[index]

    def __len__(self) -> int:
        return len(self._results)

    def __repr__(self) -> str:
        known = [reward for reward in self.rewards if reward is not None]
        mean = f"mean reward {sum(known) / len(known):.3f}" if known else "no reward"
        return f"<Scores: {len(self)} candidates, {mean}, {self.fingerprint[:19]}>"

    def to_dataframe(self) -> Any:
        """A pandas DataFrame with a row for each candidate. Raises `ImportError` without pandas."""
        import pandas

        return pandas.DataFrame([next(records.flat(result)) for result in self._results])

    def summarize(self, name: str = "scores", *, by: Sequence[str] = (), study: str | None = None) -> Tables:
        """The tables of `reward-service summarize`; `by`: columns of the DataFrame that was scored."""
        from reward_service.evaluation.summary import Summary

        return Tables(Summary(self._results, name, by=by, study=study).tables())

    def compare(self, base: Scores, names: tuple[str, str] = ("base", "scores"), *, anyway: bool = False) -> Tables:
        """The tables of `reward-service compare`: these less those of `base`, paired by id."""
        from reward_service.evaluation.comparison import compare
        from reward_service.evaluation.scores import Scores as Columns

        systems = [Columns.of(results, name) for results, name in zip((base, self), names, strict=True)]
        return Tables(compare(systems, anyway=anyway))

    def report(self, path: str, name: str = "scores", *, by: Sequence[str] = ()) -> None:
        """Write the page of `reward-service report`."""
        from reward_service.evaluation.output import write_whole
        from reward_service.evaluation.report.page import Page

        write_whole(path, Page(self._results, name, by=by).html().encode(errors="replace"))

    def write(self, path: str) -> None:
        """Write them as `reward-service score --with-texts` does, for all commands that take scores."""
        from reward_service.evaluation.output import write_whole

        write_whole(path, b"".join(map(records.line, self._results)))

    def _repr_html_(self) -> str:
        """The first pairs with their errors marked, for notebooks."""
        parts = [f"<style>{style()}</style><p>{escape(repr(self))}</p>"]
        for i, result in enumerate(self._results[:_SHOWN]):
            reference = _reference_of(result)
            fragment = pair(result["candidate"], reference, result, f"rv{id(self)}-{i}")
            title = escape(f"{result['id']}: reward {shown(result['reward'])}")
            parts.append(f"<details{' open' if len(self) == 1 else ''}><summary>{title}</summary>{fragment}</details>")
        return "".join(parts)


def _reference_of(result: Mapping[str, Any]) -> str:
    if "references" in result:
        return str(result["references"][result["reference_index"]])
    return str(result["reference"])


class Scorer:
    """Scores with one profile: `Scorer(profile="text").score(candidates, references)`.

    Without `url` everything runs in this process, in a thread with an event loop of its own, so that it can be used in
    a notebook, whose loop is running already. It is closed at the end of a ``with`` block, by `close`, or when Python
    ends. With `url` a service scores (key: REWARD_CLIENT_API_KEY). Numbers and
    fingerprint are those of HTTP. Raises `ConfigurationError` and `UnknownProfile` for what cannot be served.
    """

    def __init__(
        self,
        profile: str | None = None,
        *,
        url: str | None = None,
        fingerprint: str | None = None,
        allow_empty: bool = False,
    ) -> None:
        """`allow_empty`: what is no text, e.g. an empty cell, is an empty report instead of a fault."""
        self._allow_empty = allow_empty
        self._common: dict[str, Any] = {"detail": "full", "timeout_s": TIMEOUT_S}
        self._common |= {"profile": profile} if url and profile else {}
        self._common |= {"fingerprint": fingerprint} if fingerprint else {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="reward-service-scorer", daemon=True)
        self._thread.start()
        # Threads instead of processes: a started process would import the caller's script once more.
        self._opened = remote(url) if url else here(profile, pool_workers=0)
        try:
            self._send: Send = self._run(self._opened.__aenter__()).send
        except BaseException:
            self._end_thread()
            raise
        atexit.register(self.close)  # else tasks that wait are destroyed with the loop

    def score(
        self,
        candidates: Any,
        references: References | None = None,
        prior: Any = None,
        *,
        step: int | None = None,
        candidate_field: str | None = None,
        reference_field: str | None = None,
        prior_field: str | None = None,
        as_frame: bool = True,
    ) -> Any:
        """`Scores` for texts, or a DataFrame for a DataFrame.

        candidates: one text, a list of texts, or a pandas DataFrame whose columns are recognised as those of files are.
        references: a text for all, or for each candidate a text or a list of texts, of which the best one is paid.
        prior: the earlier reports, likewise, or None.
        step: of the training, which a profile that is a schedule asks for.
        candidate_field, reference_field, prior_field: names of a DataFrame's columns, where they are not recognised.

        as_frame: False gives `Scores` for a DataFrame too, with its ids and its other columns, to be summarized.

        A DataFrame comes back as a copy with the columns `reward`, `status`, `components.<key>`, `flags`, `missing`
        (code by component), `reason`, and `errors.significant` and `errors.insignificant`, how many were counted.
        Raises `InvalidRequest` for wrong input and `ServiceError` when scoring fails as a whole.
        """
        if hasattr(candidates, "columns") and hasattr(candidates, "iterrows"):
            given = {"candidate": candidate_field, "reference": reference_field, "prior": prior_field}
            return (
                self._score_frame(candidates, given, step)
                if as_frame
                else self._score(self._frame_entries(candidates, given, whole=True), step)
            )
        if references is None:
            raise InvalidRequest("score(candidates, references): references are missing.", param="references")
        single = isinstance(candidates, str)
        texts = [candidates] if single else candidates
        return self._score(list(_entries(texts, references, prior, self._allow_empty)), step)

    def close(self) -> None:
        """Release models and threads."""
        atexit.unregister(self.close)
        if self._thread.is_alive():
            self._run(self._opened.__aexit__(None, None, None))
            self._end_thread()

    def __enter__(self) -> Scorer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _score(self, entries: Sequence[Entry], step: int | None) -> Scores:
        if not self._thread.is_alive():
            raise InvalidRequest("This Scorer is closed; make another one.")
        return self._run(self._collect(entries, {} if step is None else {"step": operator.index(step)}))

    async def _collect(self, entries: Sequence[Entry], at: Mapping[str, int]) -> Scores:
        found: list[dict[str, Any]] = []
        fingerprint = signature = ""
        async with contextlib.aclosing(answers(chunks(entries), self._send, {**self._common, **at})) as parts:
            async for chunk, answer in parts:
                results = iter(answer["results"])
                fingerprint, signature = answer["fingerprint"], answer["signature"]
                for entry in chunk:
                    own = [next(results) for _ in range(entry.pairs)]
                    record = records.of(entry, own, fingerprint, full=True, texts=True)
                    found.append(json.loads(records.line(record)))  # lists for tuples, as over HTTP
        return Scores(found, fingerprint, signature)

    def _score_frame(self, frame: Any, given: Mapping[str, str | None], step: int | None) -> Any:
        scores = self._score(self._frame_entries(frame, {**given, "id": "none"}), step)
        rows = [_row(result) for result in scores]
        found = {name: [row.get(name) for row in rows] for name in (rows[0] if rows else _ALWAYS)}
        taken = {*map(str, frame.columns), *found}
        renamed = {}
        for name in frame.columns:
            if str(name) in found:
                renamed[name] = f"input_{name}"
                while renamed[name] in taken:
                    renamed[name] = f"input_{renamed[name]}"
        own = frame.rename(columns=renamed)
        return own.assign(**found)

    def _frame_entries(self, frame: Any, given: Mapping[str, str | None], *, whole: bool = False) -> list[Entry]:
        """`whole`: with the columns that are carried to the results."""
        columns = Columns(given)
        if repeated := sorted({str(name) for name in frame.columns[frame.columns.duplicated()]}):
            raise InvalidRequest(f"The column {repeated[0]!r} of the DataFrame stands twice.", param="candidates")
        try:
            roles = columns.of([str(name) for name in frame.columns])
        except InvalidRequest as error:
            raise InvalidRequest(_in_python(error.message), param="candidates") from None
        for role in ("candidate", "reference"):
            if role not in roles:
                found = likely(role, [str(name) for name in frame.columns if str(name) not in roles.values()])
                perhaps = f" Likely: {', '.join(map(quoted, found))}." if found else ""
                raise InvalidRequest(
                    f"No column of the DataFrame is recognised as the {role}; say which: {role}_field='NAME'.{perhaps}"
                )
        read = Input((), columns, self._allow_empty)
        names = [str(name) for name in frame.columns]
        used = {part for name in roles.values() for part in parts(name, names)}
        picked = {
            str(name): [_cell(value) for value in frame[name]] for name in frame.columns if whole or str(name) in used
        }
        rows_ = (dict(zip(picked, cells, strict=True)) for cells in zip(*picked.values(), strict=True))
        entries = []
        for label, fields in zip(frame.index, rows_, strict=True):
            try:
                entry = read.entry(Row(f"Row {label}", fields))
                if entry.grouped:
                    raise InvalidRequest(f"{entry.place}: {roles['candidate']}: must be text, not a list.")
            except InvalidRequest as error:
                raise InvalidRequest(_in_python(error.message), param="candidates") from None
            entries.append(entry)
        return entries

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _end_thread(self) -> None:
        self._run(self._loop.shutdown_default_executor())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def _or_empty(text: Any) -> Any:
    """An empty text for a missing one: None, NaN, or pandas' own."""
    return "" if _cell(text) is None or text != text else text


def _cell(value: Any) -> Any:
    """A cell as files have it: a list for an array, None for pandas' own missing values."""
    if hasattr(value, "tolist") or isinstance(value, tuple):
        return list(value) if isinstance(value, tuple) else value.tolist()
    return None if type(value).__name__ in ("NAType", "NaTType") else value


def _in_python(message: str) -> str:
    """A message about a file in terms of a DataFrame."""
    message = re.sub(r"--(\w+)-field (\w+)", r"\1_field='\2'", message)
    return message.replace(": --allow-empty.", ", put '' there, or make the Scorer with allow_empty=True.")


_ALWAYS = ("reward", "status", "flags", "missing", "reason", "errors.significant", "errors.insignificant")
"""Columns that a DataFrame without rows gets as well."""


def _row(result: Mapping[str, Any]) -> dict[str, Any]:
    """The columns that one result adds to a DataFrame, for all results the same ones."""
    found: dict[str, Any] = {"reward": result["reward"], "status": result["status"]}
    found |= {f"components.{key}": value for key, value in result["components"].items()}
    judgement = result.get("judgement") or {}
    counts = {f"errors.{kind}": judgement.get(kind) for kind in ("significant", "insignificant")}
    return found | {
        "flags": list(result["flags"]),
        "missing": {key: why["code"] for key, why in result["missing"].items()},
        "reason": result.get("reason"),
        **{name: None if count is None else sum(count.values()) for name, count in counts.items()},
    }


def _entries(candidates: Any, references: Any, prior: Any, allow_empty: bool) -> Iterator[Entry]:
    candidates = list(candidates)
    many = [references] * len(candidates) if isinstance(references, str) else list(references)
    priors = [prior] * len(candidates) if prior is None or isinstance(prior, str) else list(prior)
    for name, given in (("references", many), ("prior", priors)):
        if len(given) != len(candidates):
            raise InvalidRequest(
                f"{len(candidates)} candidates and {len(given)} {name}; as many are needed.", param=name
            )
    for i, (candidate, reference, earlier) in enumerate(zip(candidates, many, priors, strict=True)):
        several = not isinstance(reference, str) and isinstance(reference, Sequence)
        texts = tuple(reference) if several else (reference,)
        if allow_empty:
            candidate, texts = _or_empty(candidate), tuple(map(_or_empty, texts))
        for name, text in (("candidates", candidate), *(("references", text) for text in texts)):
            if not isinstance(text, str):
                raise InvalidRequest(f"{name}[{i}]: must be text, not {type(text).__name__}.", param=name)
        yield Entry(f"item {i}", str(i), (candidate,), texts, earlier, several=several)
