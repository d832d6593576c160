"""The `reward-service` command. Every flag of `serve` is also an environment variable, from `settings.py`."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import inspect
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from pydantic import SecretStr, ValidationError

from reward_service import __version__
from reward_service.errors import ConfigurationError, ServiceError
from reward_service.evaluation.commands import COMMANDS, summarize
from reward_service.evaluation.console import as_data, paint, show, text_of
from reward_service.evaluation.judge_commands import COMMANDS as JUDGE_COMMANDS
from reward_service.evaluation.judge_commands import CONTEXT
from reward_service.settings import Settings

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Composite rewards for radiology-report generation.",
)

EXIT_NULLS, EXIT_CONFIGURATION = 1, 3


def main() -> None:
    """Entry point: configuration problems are one clear line, not a traceback."""
    status: object = 0
    try:
        app()
    except SystemExit as end:
        status = end.code
    except (ServiceError, ValidationError) as error:
        typer.echo(f"error: {explain(error)}", err=True)
        status = EXIT_CONFIGURATION
    leave(status if isinstance(status, int) else int(status is not None))


def leave(status: int) -> NoReturn:
    """End the process with what has been written on its way, and without taking the interpreter apart.

    A thread may still load or run a model. When it comes back from torch to an interpreter that is being taken apart,
    Python ends that thread by unwinding it, and C++ aborts the process: "terminate called without an active exception".
    """
    from reward_service.observability.logs import flush

    flush()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # a reader that has left, a closed one
            stream.flush()
    os._exit(status)


def explain(error: Exception) -> str:
    """What is wrong and how to fix it, naming the setting."""
    if isinstance(error, ValidationError):
        return "; ".join(
            f"REWARD_{'.'.join(map(str, e['loc'])).upper()} (--{str(e['loc'][0]).replace('_', '-')}): {e['msg']}"
            if e["loc"]
            else e["msg"]
            for e in error.errors(include_input=False)
        )
    return getattr(error, "message", str(error))


def settings_from(flags: dict[str, Any]) -> Settings:
    """Settings from the environment, overridden by flags."""
    return Settings(**{name: value for name, value in flags.items() if value is not None})


def with_settings_flags(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command one option per field of `Settings`; `Settings` stays the only place that lists them."""
    own = [p for p in inspect.signature(command).parameters.values() if p.name != "flags"]
    parameters, annotations = list(own), {p.name: p.annotation for p in own}
    for name, field in Settings.model_fields.items():
        annotation: Any = Annotated[
            _flag_type(field.annotation) | None,
            typer.Option(f"--{name.replace('_', '-')}", help=f"{field.description} [REWARD_{name.upper()}]",
                         show_default=_shown(field.default)),
        ]  # fmt: skip
        parameters.append(inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation))
        annotations[name] = annotation

    def wrapper(**arguments: Any) -> None:
        mine = {p.name: arguments.pop(p.name) for p in own}
        command(**mine, flags=arguments)

    wrapper.__doc__ = command.__doc__
    wrapper.__name__ = command.__name__
    wrapper.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    wrapper.__annotations__ = annotations
    return wrapper


def _flag_type(annotation: Any) -> Any:
    return annotation if annotation in (int, float, bool) else str


def _shown(default: Any) -> str:
    if isinstance(default, SecretStr):
        default = default.get_secret_value()
    return ",".join(default) if isinstance(default, tuple) else str(default)


def serve(flags: dict[str, Any]) -> None:
    """Serve over HTTP until SIGTERM; then finish what is in flight."""
    from reward_service.serving.server import run

    raise typer.Exit(run(settings_from(flags)))


app.command("serve")(with_settings_flags(serve))


@app.command()
def score(  # noqa: PLR0913  # one argument a flag
    source: Annotated[
        list[str],
        typer.Argument(metavar="IN...", help="JSONL, JSON, CSV, TSV, Parquet or Excel, also .gz, .zst; - for stdin"),
    ],
    output: Annotated[
        str, typer.Option("--output", "-o", help="results: JSONL, or by its ending CSV or Parquet; - for stdout")
    ] = "-",
    profile: Annotated[str | None, typer.Option(help="profile; default: the first of REWARD_PROFILES")] = None,
    url: Annotated[
        str | None,
        typer.Option(help="score through the service at this address (key: REWARD_CLIENT_API_KEY)"),
    ] = None,
    pin: Annotated[str | None, typer.Option("--fingerprint", help="refuse to score with any other fingerprint")] = None,
    detail: Annotated[str, typer.Option(help="reward, components or full")] = "full",
    candidate_field: Annotated[str | None, typer.Option(help="column of the candidates")] = None,
    reference_field: Annotated[
        str | None, typer.Option(help="column of the references; findings+impression joins two")
    ] = None,
    id_field: Annotated[str | None, typer.Option(help="column of the ids; none: the lines are numbered")] = None,
    prior_field: Annotated[str | None, typer.Option(help="column of the earlier reports")] = None,
    system: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="column that says which system a row is of; ids may repeat across systems"),
    ] = None,
    encoding: Annotated[
        str | None, typer.Option(help="of text files, e.g. latin-1; default: UTF-8 or by its mark")
    ] = None,
    allow_empty: Annotated[bool, typer.Option("--allow-empty", help="empty cells are empty reports")] = False,
    with_texts: Annotated[bool, typer.Option("--with-texts", help="write the reports beside their scores")] = False,
    restart: Annotated[bool, typer.Option("--restart", help="forget the rows of an interrupted run")] = False,
    step: Annotated[
        int | None, typer.Option(min=0, max=2**53, help="training step, for a profile that is a schedule")
    ] = None,
    corpus: Annotated[
        str | None, typer.Option(metavar="FILE", help="write values of the whole file, as boards print them, as JSON")
    ] = None,
    on_ray: Annotated[
        bool, typer.Option("--ray", help="by actors on the Ray cluster of RAY_ADDRESS, else on a local one")
    ] = False,
    ray_gpus: Annotated[float, typer.Option(min=0, help="GPUs of each actor, e.g. 0.5; 0: models on CPUs")] = 0.0,
) -> None:
    """Score files of reports; what was interrupted is continued by the same command.

    A record has a candidate and a reference (or lists: candidates of one study, references for one candidate), and may
    have an id and a prior report; all other columns are carried to the output. Exit status 1 when any result is null,
    3 when the file could not be scored.
    """
    from reward_service.cluster import score as cluster
    from reward_service.evaluation import score_file
    from reward_service.evaluation.reading import columns, entries, formats

    if detail not in ("reward", "components", "full"):
        raise typer.BadParameter("reward, components or full", param_hint="--detail")
    if not url:
        _log_warnings()
    given = {"candidate": candidate_field, "reference": reference_field, "id": id_field, "prior": prior_field}
    if corpus and detail != "full":
        raise typer.BadParameter("needs --detail full", param_hint="--corpus")
    if corpus and corpus != "-" and Path(corpus).resolve() == Path(output).resolve():
        raise typer.BadParameter("is the file of --output", param_hint="--corpus")
    wanted = score_file.Wanted(profile, url, pin, detail, step, corpus, with_texts, restart)
    with formats.opened(source, encoding) as sources:
        read = entries.Input(sources, columns.Columns(given), allow_empty, system)
        try:
            if on_ray:
                nulls = cluster.score(read, output, wanted, ray_gpus)
            else:
                nulls = asyncio.run(score_file.score(read, output, wanted))
        except score_file.Interrupted as error:
            typer.echo(error.message, err=True)
            raise typer.Exit(error.status) from None
    if Path(output).is_file() and sys.stdout.isatty():
        summarize([output])
    if nulls:
        typer.echo(f"Results that are null: {nulls}. Each says why in 'missing'.", err=True)
        raise typer.Exit(EXIT_NULLS)


for command in COMMANDS:
    app.command()(command)


@app.command()
def info(
    profile: Annotated[str | None, typer.Option(help="comma-separated profiles to describe")] = None,
    as_yaml: Annotated[bool, typer.Option("--yaml", help="the profiles' files as they are written, to copy")] = False,
) -> None:
    """What these settings would serve: profiles, fingerprints, limits, what is unavailable and why."""
    if as_yaml:
        from reward_service.profiles.loading import source

        typer.echo("---\n".join(map(source, settings_from({"profiles": profile}).profiles)), nl=False)
        return
    engine = _engine(profile)
    as_data(engine.state.info())


@app.command()
def fingerprint(
    profile: Annotated[str | None, typer.Argument(help="profile; default: the first of REWARD_PROFILES")] = None,
    document: Annotated[bool, typer.Option("--document", help="the whole document that is hashed")] = False,
) -> None:
    """The fingerprint that a trainer pins."""
    served = next(iter(_engine(profile).profiles.values()))
    if document:
        as_data(served.document)
    else:
        typer.echo(served.fingerprint)
        typer.echo(served.signature)


@app.command()
def check(
    profile: Annotated[str | None, typer.Option(help="comma-separated profiles to check")] = None,
    write_canaries: Annotated[
        bool, typer.Option("--write-canaries", help="for development: renew the committed values of the canaries")
    ] = False,
    golden: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="JSONL of annotations and labels that the models must reproduce"),
    ] = None,
) -> None:
    """Load everything, score the canary pairs, and say what is missing and how to install it."""
    from reward_service.evaluation import canaries
    from reward_service.evaluation import check as checks

    _log_warnings(Settings(log_level="error"))
    if write_canaries:
        asyncio.run(canaries.write())
    raise typer.Exit(asyncio.run(checks.check(profile, golden)))


@app.command()
def read(
    text: Annotated[str | None, typer.Argument(help="a report; - for standard input")] = None,
    file: Annotated[str | None, typer.Option("--file", help="file that holds the report")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="the same as POST /v1/read answers")] = False,
) -> None:
    """How the rules judge reads a report, and which row or construction decided each finding."""
    from judges.rules import reading
    from judges.rules.knowledge import LexiconError

    if (text is None) == (file is None):
        raise typer.BadParameter("give either a report or --file")
    if file is not None or text == "-":
        text = text_of(file or "-")
    try:
        found = reading.explain(text or "")
    except LexiconError as error:
        raise ConfigurationError(f"judges/rules/knowledge: {error}") from None
    if as_json:
        as_data(found)
    else:
        show(reading.render(found, paint))


for name, judge_command in JUDGE_COMMANDS.items():
    app.command(name, context_settings=CONTEXT.get(name))(judge_command)


@app.command("new-key")
def new_key(name: Annotated[str, typer.Argument(help="whose key it is; shown in logs")]) -> None:
    """Make an API key: the first line goes to the client, the second into REWARD_API_KEYS."""
    from reward_service.api.auth import new_key as make

    if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", name):
        raise typer.BadParameter("letters, digits, '.', '_' and '-', at most 64", param_hint="NAME")
    key, entry = make(name)
    typer.echo(f"key for the client:  {key}\nREWARD_API_KEYS:     {entry}")


@app.command()
def convert(
    model: Annotated[str, typer.Argument(help="radgraph or chexbert")],
    source: Annotated[str, typer.Argument(metavar="SRC", help="radgraph*.tar.gz or its folder; chexbert.pth")],
    target: Annotated[
        str, typer.Argument(metavar="DST", help="folder to write, for REWARD_RADGRAPH_MODEL or _CHEXBERT_")
    ],
    tokenizer: Annotated[str, typer.Option(help="folder with the encoder's tokenizer and config.json")],
) -> None:
    """Turn released weights into a folder that the service loads: safetensors, vocabulary, tokenizer."""
    if model not in ("radgraph", "chexbert"):
        raise typer.BadParameter("radgraph or chexbert", param_hint="MODEL")
    try:
        module = importlib.import_module(f"metrics.{model}")
        typer.echo(module.convert(source, target, tokenizer))
    except ImportError as error:
        raise ConfigurationError(
            f"convert needs '{error.name}'. Install it with: pip install 'reward-service[bertscore]'."
        ) from None
    except (ValueError, OSError) as error:
        raise ConfigurationError(str(error)) from None
    except Exception as error:  # what a damaged file makes of torch, tarfile or transformers
        raise ConfigurationError(f"{source} cannot be converted ({type(error).__name__}: {error}).") from error


@app.command()
def version() -> None:
    """The service's version."""
    typer.echo(__version__)


def _engine(profiles: str | None) -> Any:
    from reward_service.scoring.engine import Engine

    settings = settings_from({"profiles": profiles})
    _log_warnings(settings)

    async def make() -> Engine:
        return Engine(settings)

    return asyncio.run(make())


def _log_warnings(settings: Settings | None = None) -> None:
    """For commands, whose output is their result: log warnings, or what REWARD_LOG_LEVEL asks for."""
    from reward_service.observability.logs import configure_logs

    settings = settings or Settings()
    chosen = "log_level" in settings.model_fields_set
    configure_logs(settings if chosen else settings.model_copy(update={"log_level": "warning"}))


if __name__ == "__main__":
    main()
