"""The commands about scores; `cli` puts them beside its own. What they use is imported when they run."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reward_service.errors import ServiceError
from reward_service.settings import Settings

if TYPE_CHECKING:
    from reward_service.scoring.engine import Engine

_ScoresArgument = Annotated[list[str], typer.Argument(metavar="SCORES...", help="what `score` has written")]
_FormatOption = Annotated[str, typer.Option("--format", "-f", help="table, markdown, latex, json or csv")]
_SeedOption = Annotated[int, typer.Option(help="of the resampling")]
_StudyOption = Annotated[str | None, typer.Option(help="column whose equal values are one study; default: each group")]
_NameOption = Annotated[
    str | None, typer.Option("--name", help="of the system, in tables; default: the file's, without its ending")
]
_NamesOption = Annotated[
    list[str] | None,
    typer.Option("--name", help="of a system, in their order, repeat it; default: the file's, without its ending"),
]
_SystemOption = Annotated[
    str | None, typer.Option("--system", metavar="COLUMN", help="column that says which system a row is of")
]
_PoolOption = Annotated[bool, typer.Option("--pool", help="take all rows together, as if one system had written them")]
_AnywayOption = Annotated[bool, typer.Option("--anyway", help="take rows of different reward functions together")]


def summarize(  # noqa: PLR0913  # one argument a flag
    scores: _ScoresArgument,
    by: Annotated[list[str] | None, typer.Option(help="column of subgroups, e.g. sex; may be repeated")] = None,
    study: _StudyOption = None,
    name: _NamesOption = None,
    format: _FormatOption = "table",
    document: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="of `fingerprint --document`: adds RadCliQ of the corpus"),
    ] = None,
    seed: _SeedOption = 0,
    anyway: _AnywayOption = False,
    system: _SystemOption = None,
    pool: _PoolOption = False,
) -> None:
    """Means with intervals, corpus values, errors, findings, subgroups and flags; each file is a system of its own."""
    from reward_service.evaluation import scores as scored
    from reward_service.evaluation import summary, tables
    from reward_service.profiles import fingerprint as fingerprints

    _check_format(format)
    about = scored.document(document) if document else None
    blocks = []
    for called, rows in _systems(scores, name, system, pool):
        made = summary.Summary(rows, called, study=study, by=by or [], document=about)
        if not pool:
            made.scores.check_ids()
        head = {"scores": called, "fingerprint": made.scores.one_fingerprint(anyway)}
        if about and not fingerprints.same(fingerprints.of_profile(about), head["fingerprint"]):
            raise ServiceError(f"{document} is the document of another fingerprint.", param="--document")
        blocks.append((head, made.tables(seed)))
    sys.stdout.write(tables.render_all(blocks, format))


def compare(  # noqa: PLR0913  # one argument a flag
    scores: Annotated[list[str], typer.Argument(metavar="A B...", help="scores of two or more systems; A is the base")],
    study: _StudyOption = None,
    name: _NamesOption = None,
    format: _FormatOption = "table",
    seed: _SeedOption = 0,
    anyway: _AnywayOption = False,
    most: Annotated[int, typer.Option(help="how many of the studies that differ most are listed")] = 10,
    system: _SystemOption = None,
    base: Annotated[str | None, typer.Option(metavar="NAME", help="of the base; default: the first system")] = None,
    table: Annotated[
        bool, typer.Option("--table", help="one table for a paper: systems as rows, with intervals and stars")
    ] = False,
    metric: Annotated[
        list[str] | None, typer.Option(help="a value of --table, in its order; repeat it; default: the usual ones")
    ] = None,
) -> None:
    """Test whether systems differ, paired by id: bootstrap, approximate randomisation, effect, wins."""
    from reward_service.evaluation import comparison, systems, tables
    from reward_service.evaluation import scores as scored

    _check_format(format)
    if metric and not table:
        raise typer.BadParameter("is for --table", param_hint="--metric")
    found = [
        scored.Scores.of(rows, called, study=study)
        for called, rows in scored.systems(scores, name or [], column=system, base=base)
    ]
    if len(found) < 2 and not table:
        wanted = (
            f"'{system}' has one value; two are needed" if system else "give at least two files, or --system COLUMN"
        )
        raise typer.BadParameter(wanted, param_hint="A B...")
    head = {"fingerprint": found[0].one_fingerprint(anyway)}
    if table:
        made = [systems.systems_table(found, metrics=metric or (), seed=seed, anyway=anyway)]
    else:
        made = comparison.compare(found, seed=seed, anyway=anyway, most=most)
    sys.stdout.write(tables.render(made, format, head))


def report(  # noqa: PLR0913  # one argument a flag
    scores: _ScoresArgument,
    output: Annotated[str, typer.Option("--output", "-o", help="the HTML file; - for standard output")] = "report.html",
    against: Annotated[str | None, typer.Option("--compare", help="scores of another system, compared by id")] = None,
    name: _NameOption = None,
    compare_name: Annotated[str | None, typer.Option(help="of the other system")] = None,
    by: Annotated[list[str] | None, typer.Option(help="column of subgroups, e.g. sex; may be repeated")] = None,
    study: _StudyOption = None,
    seed: _SeedOption = 0,
    anyway: _AnywayOption = False,
    pool: _PoolOption = False,
    system: _SystemOption = None,
) -> None:
    """One HTML page: summary, plots, and every study with its texts (`score --with-texts`) and errors side by side."""
    from reward_service.evaluation import scores as scored
    from reward_service.evaluation.output import write_whole
    from reward_service.evaluation.report.page import Page

    if system:
        found = dict(scored.systems(scores, column=system))
        if name not in found or compare_name not in (None, *found) or against:
            known = ", ".join(found)
            raise typer.BadParameter(f"say which of {known}: --name, and --compare-name for another", param_hint=system)
        called, rows, theirs = name, found[name], compare_name
        others = None if theirs is None else found[theirs]
    elif len(scores) > 1 and not pool:
        raise typer.BadParameter("a page is of one system: --compare FILE for another, or --pool", param_hint="SCORES")
    else:
        called, rows, theirs = name or _name(scores), scored.read(scores), None
        if against:
            called, theirs = scored.system_names(["", ""], [called, compare_name or _name([against])])
        others = scored.read([against]) if against else None
    other = None if others is None else scored.Scores.of(others, theirs or "", keep=True)
    made = Page(rows, called, other=other, study=study, by=by or [], pool=pool)
    write_whole(output, made.html(seed=seed, anyway=anyway).encode(errors="replace"))
    if lacking := made.studies.lacking:
        typer.echo(f"Texts are missing in {lacking:,} rows; `score --with-texts` writes them.", err=True)


def reweigh(
    scores: _ScoresArgument,
    profile: Annotated[str, typer.Option(help="profile with the new weights: a name, or a path to YAML")],
    output: Annotated[
        str, typer.Option("--output", "-o", help="records: JSONL, or by its ending CSV or Parquet; - for stdout")
    ] = "-",
    tune: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="print the profile with weights fitted to ratings or preferences instead"),
    ] = None,
    seed: _SeedOption = 0,
    anyway: Annotated[bool, typer.Option("--anyway", help="take stored values by key where components differ")] = False,
    document: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="of `fingerprint --document`, for scores of a profile that is not shipped"),
    ] = None,
) -> None:
    """Rewards under another profile from stored raw values (`score --with-texts`), without scoring anything anew."""
    if tune:
        _tune(scores, profile, output, tune, seed)
        return
    from reward_service.evaluation import reweighing
    from reward_service.evaluation import scores as scored
    from reward_service.evaluation.output import Output

    engine = asyncio.run(_engine(profile))
    served = engine.served(None).at(None)
    out = Output(output, {"reweigh": scores}, restart=True)
    answer = {"fingerprint": served.fingerprint, "signature": served.signature}
    told = [scored.document(document)] if document else []

    def documents() -> Iterator[Mapping[str, Any]]:
        yield from told
        yield from _shipped_documents()

    found = reweighing.reweighed(scored.stored(scores), engine.scorer(served), anyway=anyway, documents=documents)
    try:
        for record in found:
            out.write(record, answer)
    finally:
        out.close()
    out.finish()
    typer.echo(served.signature, err=True)
    if out.nulls:
        raise typer.Exit(1)


def groups(
    scores: _ScoresArgument,
    study: _StudyOption = None,
    name: _NamesOption = None,
    format: _FormatOption = "table",
    most: Annotated[int, typer.Option(help="how many studies are listed; 0: all")] = 20,
    seed: _SeedOption = 0,
    anyway: _AnywayOption = False,
    pool: _PoolOption = False,
) -> None:
    """What rollouts would teach: spread within groups, share without advantage, agreement of components, best of n."""
    from reward_service.evaluation import group_profile, tables
    from reward_service.evaluation import scores as scored

    _check_format(format)
    blocks = []
    for called, rows in _systems(scores, name, None, pool):
        found = scored.Scores.of(rows, called, study=study)
        head = {"scores": found.name, "fingerprint": found.one_fingerprint(anyway)}
        blocks.append((head, group_profile.profile_groups(found, seed=seed, most=most)))
    sys.stdout.write(tables.render_all(blocks, format))


def explain(  # noqa: PLR0913  # one argument a flag
    files: Annotated[
        list[str] | None, typer.Argument(metavar="[CANDIDATE REFERENCE]", help="two files, each with one report")
    ] = None,
    candidate: Annotated[str | None, typer.Option(help="the candidate's text")] = None,
    reference: Annotated[str | None, typer.Option(help="the reference's text")] = None,
    prior: Annotated[str | None, typer.Option(help="text of an earlier report of the patient")] = None,
    item: Annotated[
        str | None, typer.Option(metavar="FILE:ID", help="a record of a file, read as `score` reads it")
    ] = None,
    candidate_field: Annotated[str | None, typer.Option(help="with --item: column of the candidates")] = None,
    reference_field: Annotated[str | None, typer.Option(help="with --item: column of the references")] = None,
    id_field: Annotated[str | None, typer.Option(help="with --item: column of the ids")] = None,
    prior_field: Annotated[str | None, typer.Option(help="with --item: column of the earlier reports")] = None,
    profile: Annotated[str | None, typer.Option(help="profile; default: the first of REWARD_PROFILES")] = None,
    step: Annotated[
        int | None, typer.Option(min=0, max=2**53, help="training step, for a profile that is a schedule")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="as data")] = False,
) -> None:
    """How one reward comes about: components, guards, what each error costs, and both texts with the errors in colour.

    Exit status 1 when there is no reward.
    """
    from reward_service.evaluation import explain as explaining
    from reward_service.evaluation.console import as_data, paint, show, text_of
    from reward_service.evaluation.progress import Waiting
    from reward_service.observability.logs import configure_logs

    texts = [candidate, reference] if (candidate, reference) != (None, None) else None
    if sum(given is not None for given in (files or None, texts, item)) != 1:
        raise typer.BadParameter("give --candidate and --reference, or --item, or two files")
    if item is not None:
        fields = {"candidate": candidate_field, "reference": reference_field, "id": id_field, "prior": prior_field}
        wanted = explaining.find(item, fields)
    else:
        texts = [text_of(file) for file in files] if files else texts
        if texts is None or len(texts) != 2 or texts[0] is None or texts[1] is None:
            raise typer.BadParameter("a candidate and a reference are needed")
        wanted = explaining.Texts(texts[0], (texts[1],))
    wanted = wanted if prior is None else wanted._replace(prior=prior)
    configure_logs(Settings(log_level="warning"))
    with Waiting("loading models"):
        made = asyncio.run(explaining.explain(wanted, profile, step))
    if as_json:
        as_data(made)
    else:
        show(explaining.shown(made, paint))
    if made["result"]["reward"] is None:
        raise typer.Exit(1)


def _systems(
    scores: list[str], names: list[str] | None, column: str | None, pool: bool
) -> list[tuple[str, Iterator[dict[str, Any]]]]:
    """The systems with their rows; one of all rows where they are to be pooled."""
    from reward_service.evaluation import scores as scored

    if not pool:
        return scored.systems(scores, names or [], column=column)
    if column is not None:
        raise typer.BadParameter("takes apart what --pool takes together", param_hint="--system")
    return [(", ".join(names) if names else _name(scores), scored.read(scores))]


def _name(scores: list[str]) -> str:
    from reward_service.evaluation.scores import system_names

    return ", ".join(system_names(scores))


def _check_format(format: str) -> None:
    from reward_service.evaluation.tables import FORMATS

    if format not in FORMATS:
        raise typer.BadParameter(", ".join(FORMATS), param_hint="--format")


def _tune(scores: list[str], profile: str, output: str, column: str, seed: int) -> None:
    """The profile with fitted weights as YAML; on stderr how well they and simpler ones agree with the labels."""
    from reward_service.evaluation import scores as scored
    from reward_service.evaluation import tables, tuning
    from reward_service.evaluation.output import write_whole
    from reward_service.profiles.loading import load_profile

    given = load_profile(profile)
    data = tuning.gathered(scored.read(scores), given, column)
    table, weights = tuning.tune(data, given, seed)
    sys.stderr.write(tables.render([table], "table", {"labels": column}))
    sys.stdout.flush()
    write_whole(output, tuning.profile_text(given, data.names, weights).encode())


def _shipped_documents() -> Iterator[Mapping[str, Any]]:
    """Those of the profiles that can be served here, one after the other."""
    from reward_service.profiles.loading import shipped

    for name in dict.fromkeys([*Settings().profiles, *shipped()]):
        with contextlib.suppress(ServiceError):  # one that lacks weights or a server scored nothing here
            yield asyncio.run(_engine(name)).served(None).at(None).document


async def _engine(profile: str) -> Engine:
    """Not started: nothing is loaded or scored, but components know their fingerprints."""
    from reward_service.observability.logs import configure_logs
    from reward_service.scoring.engine import Engine

    configure_logs(Settings(log_level="warning"))
    return Engine(Settings(profiles=(profile,), pool_workers=0))


COMMANDS = (summarize, compare, report, reweigh, groups, explain)
