"""The command line: its commands, by group, and what becomes of errors. Nothing heavy is imported before."""

import functools
import inspect
import io
import platform
import signal
import sys
import traceback
from collections.abc import Callable
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from mixpo import __version__
from mixpo import cli_steps as steps
from mixpo import cli_tools as tools
from mixpo.errors import UserError
from mixpo.names import at_home
from mixpo.progress import complain, show_warnings, speak
from mixpo.signals import STATUSES, Interrupted, interrupting

COMMANDS: dict[str, tuple[Callable[..., None], ...]] = {
    "Run and look": (tools.quickstart, tools.init, steps.run, steps.status, tools.plan, tools.view),
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
    "Models": (tools.convert, tools.compose, tools.publish),
    "Tools": (tools.fields, tools.doctor),
}
"""Every command, in the groups and the order of `mixpo --help`. A function's name is the command's; the first sentence
of its docstring stands beside it, where 60 characters fit."""
WITH_NUMBERS = (
    *(steps.run, steps.status, steps.evaluate, steps.best_of, steps.relabel, steps.ablate),
    *(tools.score, tools.plan, tools.judge_check, tools.doctor),
)
"""Those that print numbers: `--json` prints the same."""


class CommandGroups(TyperGroup):
    """Lists the commands by group; of a file in a command's place it says the command."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        width = max(map(len, self.commands))
        for group in COMMANDS:
            with formatter.section(group):
                inside = ((name, one) for name, one in self.commands.items() if one.rich_help_panel == group)  # type: ignore[attr-defined]
                formatter.write_dl([(name.ljust(width), one.get_short_help_str(100)) for name, one in inside])

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args[0] not in self.commands and at_home(args[0]).exists():
            raise UserError(f"{args[0]} is no command; `mixpo run {args[0]}` runs a recipe, `mixpo --help` tells more")
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=CommandGroups,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["--help", "-h"]},
)


def _version(asked: bool) -> None:
    if asked:
        libraries = ", ".join(f"{name} {version_of(name)}" for name in ("torch", "transformers"))
        from mixpo.output import tell

        tell(f"mixpo {__version__} (Python {platform.python_version()}, {libraries})")
        raise typer.Exit


@app.callback()
def mixpo(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Print logged information, too.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No bars, no notes: results and errors alone.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Mixed Preference Optimization (MPO) for vision-language models, end to end."""
    speak(verbose, quiet)


def _with_json(command: Callable[..., None]) -> Callable[..., None]:
    """The command with `--json`: what it finds is printed as one JSON document, and nothing else is."""

    @functools.wraps(command)
    def asked(*, as_json: bool, **given: Any) -> None:
        from mixpo.output import document

        ended: typer.Exit | None = None
        with document(as_json):
            try:
                command(**given)
            except typer.Exit as error:  # what was found is printed all the same
                ended = error
        if ended is not None:
            raise ended

    option = Annotated[bool, typer.Option("--json", help="Print the same numbers as one JSON document.")]
    own = inspect.signature(command)
    more = inspect.Parameter("as_json", inspect.Parameter.POSITIONAL_OR_KEYWORD, default=False, annotation=option)
    asked.__signature__ = own.replace(parameters=[*own.parameters.values(), more])  # type: ignore[attr-defined]
    return asked


def _spoken(command: Callable[..., None]) -> Callable[..., None]:
    """The command with -v and -q as well: people write them behind its name."""

    @functools.wraps(command)
    def spoken(*, verbose: bool, quiet: bool, **given: Any) -> None:
        speak(verbose, quiet)
        try:
            command(**{name: _filled_in(value) for name, value in given.items()})
        except Interrupted as error:  # typer knows Ctrl-C alone
            raise typer.Exit(error.status) from error

    own, before = inspect.signature(command), inspect.signature(mixpo).parameters
    spoken.__signature__ = own.replace(  # type: ignore[attr-defined]  # what typer makes options of
        parameters=[*own.parameters.values(), before["verbose"], before["quiet"]]
    )
    return spoken


def _filled_in(value: Any) -> Any:
    """A path, or each of a list, with what `~` stands for: of `--out=~/x` a shell leaves it."""
    if isinstance(value, list):
        return [_filled_in(one) for one in value]
    return at_home(value) if isinstance(value, Path) else value


for _group, _commands in COMMANDS.items():
    for _command in _commands:
        _name = _command.__name__.strip("_").replace("_", "-")
        _asked = _with_json(_command) if _command in WITH_NUMBERS else _command
        app.command(name=_name, rich_help_panel=_group)(_spoken(_asked))


def main() -> NoReturn:
    """Entry point: a UserError becomes one sentence and exit status 2; an interrupt says how to go on."""
    show_warnings()
    with interrupting() as interrupted:
        try:
            status = app(prog_name="mixpo", standalone_mode=False) or 0
        except BaseException as error:
            status = interrupted[0] if interrupted else _failed(error)  # what a signal brings about is not told
    if status in STATUSES.values():
        complain("mixpo: interrupted; the same command goes on where this stopped")
    sys.exit(status)


def _failed(error: BaseException) -> int:
    """Says what went wrong; the exit status. Raises what ends a program of itself."""
    if isinstance(error, UserError):
        complain(f"mixpo: {error}")
        return 2
    if isinstance(error, typer.TyperException):
        said = io.StringIO()
        error.show(said)  # type: ignore[attr-defined]  # click's, which typer brings along
        complain(said.getvalue().rstrip("\n"))
        return int(error.exit_code)
    at_its_end = isinstance(error.__cause__, EOFError)  # of a file, which typer takes for Ctrl-D
    if isinstance(error, KeyboardInterrupt) or (isinstance(error, typer.Abort) and not at_its_end):
        return STATUSES[signal.SIGINT]
    if not isinstance(error, Exception):
        raise error
    complain("".join(traceback.format_exception(error)).rstrip("\n"))
    report = "if it is a fault of mixpo, report it with the lines above and what `mixpo --version` prints"
    complain(f"mixpo: this was not foreseen; {report}")
    return 1
