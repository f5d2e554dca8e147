"""The command line: its commands, by group, and what becomes of errors. Nothing heavy is imported before."""

import sys
from collections.abc import Callable
from typing import NoReturn

import typer

from mixpo import cli_steps as steps
from mixpo import cli_tools as tools
from mixpo.errors import UserError
from mixpo.progress import show_warnings

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it (128 + SIGINT)."""

COMMANDS: dict[str, tuple[Callable[..., None], ...]] = {
    "Run and look": (tools.quickstart, steps.run, steps.status, tools.plan, tools.view),
    "Steps of a recipe": (
        steps.questions,
        steps.demonstrations,
        steps.base_model,
        steps.sample,
        steps.verify,
        steps.dropout,
        steps.pair,
        steps.train,
        steps.report,
    ),
    "Data": (steps.import_, steps.relabel, tools.export, tools.pass_rates),
    "Evaluation": (steps.evaluate, steps.best_of, steps.ablate, tools.score, tools.judge_check),
    "Models": (tools.convert, tools.publish),
    "Tools": (tools.fields, tools.doctor),
}
"""Every command, in the groups and the order of `mixpo --help`: a function, its name the command's."""

app = typer.Typer(
    help="Mixed Preference Optimization (MPO) for vision-language models, end to end.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

for _group, _commands in COMMANDS.items():
    for _command in _commands:
        _name = _command.__name__.strip("_").replace("_", "-")
        app.command(name=_name, rich_help_panel=_group)(_command)


def main() -> NoReturn:
    """Entry point: a UserError becomes one sentence and exit status 2; an interrupt says how to go on."""
    show_warnings()
    try:
        status = app(standalone_mode=False) or 0
    except UserError as error:
        typer.echo(f"mixpo: {error}", err=True)
        sys.exit(2)
    except typer.TyperException as error:
        error.show()  # type: ignore[attr-defined]  # click's, which typer brings along
        sys.exit(error.exit_code)
    except (typer.Abort, KeyboardInterrupt):
        status = INTERRUPTED
    if status == INTERRUPTED:
        typer.echo("mixpo: interrupted; the same command goes on where this stopped", err=True)
    sys.exit(status)
