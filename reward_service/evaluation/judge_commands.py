"""The commands about judges: how well one agrees with labelled counts, its calibration, and the server of its model."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from typing import Annotated, Any, cast

import typer

from reward_service.errors import ConfigurationError
from reward_service.evaluation import console
from reward_service.settings import Settings


def judge_eval(  # noqa: PLR0913  # one argument a flag
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="[FILE]",
            help="JSONL: candidate, reference[, prior], significant, insignificant; without it the shipped pairs",
        ),
    ] = None,
    judge: Annotated[str, typer.Option(help="vllm or rules")] = "vllm",
    given: Annotated[list[str] | None, typer.Option("--set", help="setting of the judge, name=value")] = None,
    part: Annotated[str, typer.Option(help="of the shipped pairs: open, kept or all")] = "open",
    limit: Annotated[int | None, typer.Option(min=2, help="only the first so many pairs")] = None,
    compare: Annotated[str | None, typer.Option(help="another judge, or a file of --save")] = None,
    save: Annotated[str | None, typer.Option(help="keep judgements in this file, and go on with it")] = None,
    html: Annotated[str | None, typer.Option(help="write a page with the worst disagreements")] = None,
    price: Annotated[
        str | None, typer.Option(help="of a million tokens: prompt,cached,completion; for the cost of 1,000 pairs")
    ] = None,
    seed: Annotated[int, typer.Option(help="of the bootstrap")] = 0,
) -> None:
    """How well a judge agrees with labelled error counts, with 95 % bootstrap intervals, and what it costs."""
    from reward_service.evaluation import judge_agreement as run
    from reward_service.observability.logs import configure_logs

    configure_logs(Settings(log_level="warning"))
    if part not in ("open", "kept", "all"):
        raise typer.BadParameter("open, kept or all", param_hint="--part")
    wanted = run.Wanted(
        source, cast(Any, part), limit, judge, run.settings_of(given or ()), compare, seed, save, html,
        run.prices_of(price),
    )  # fmt: skip
    console.show(run.evaluate(wanted))


def judge_calibrate(
    target: Annotated[str, typer.Argument(metavar="FILE", help="what to write")],
) -> None:
    """Fit what the judge's model means by its letters, for judges by single statements; needs its server."""
    from reward_service.evaluation.judge_calibration import calibrate
    from reward_service.observability.logs import configure_logs

    configure_logs(Settings(log_level="warning"))
    console.show(calibrate(target))


def judge_server(  # noqa: PLR0913  # one argument a flag
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="hub id or local path")],
    revision: Annotated[str | None, typer.Option(help="commit of the weights")] = None,
    name: Annotated[str, typer.Option(help="served name, for REWARD_JUDGE_MODEL")] = "judge",
    host: Annotated[str, typer.Option(help="address to listen on")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="port to listen on")] = 8100,
    max_model_len: Annotated[int, typer.Option(help="context length in tokens")] = 16_384,
    gpus: Annotated[int, typer.Option(help="tensor-parallel size")] = 1,
    show: Annotated[bool, typer.Option("--print", help="print the command instead of running it")] = False,
) -> None:
    """Run `vllm serve` with the flags that the judge relies on; further flags are passed on."""
    from judges.vllm.command import serve_command

    command = serve_command(
        model, revision=revision, served_name=name, host=host, port=port, max_model_len=max_model_len, gpus=gpus,
        extra=context.args,
    )  # fmt: skip
    if show:
        console.show(shlex.join(command))
        return
    try:
        os.execvp(command[0], command)
    except FileNotFoundError:
        raise ConfigurationError(
            "There is no `vllm` command here. Install it with: pip install 'reward-service[vllm]' (a machine with a "
            "GPU), or run the printed command (--print) in vLLM's own container."
        ) from None


COMMANDS: dict[str, Callable[..., None]] = {
    "judge-eval": judge_eval,
    "judge-calibrate": judge_calibrate,
    "judge-server": judge_server,
}
CONTEXT: dict[str, dict[str, Any]] = {"judge-server": {"allow_extra_args": True, "ignore_unknown_options": True}}
