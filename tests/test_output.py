"""What commands print on standard output: tables as wide as there is room, and the document of `--json`."""

import io
import json
import logging
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import typer
from rich.console import Console

from mixpo import output, progress
from mixpo.cli import app, main
from mixpo.errors import UserError
from mixpo.evaluation import table
from mixpo.output import TextTable, show, text
from mixpo.records import Comparison, Score

LONG = "a-model-with-a-name-of-its-own-that-is-long"
TABLE = TextTable(
    "scenes: accuracy",
    ("model", "prompt", "direct", "cot", "gap (95 % interval)"),
    [(LONG, "cot", "26.5 (23.1-30.2)", "1,046.8 (42.9-50.8)", "+20.3 (+15.4 to +25.1)"), ("b", "cot", "1", "2", "3")],
    text=2,
)


def terminal(width: int) -> list[str]:
    console = Console(width=width, file=io.StringIO(), force_terminal=True, color_system=None)
    console.print(TABLE, crop=False)
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("width", [20, 40, 60, 80, 140])
def test_numbers_are_whole_in_any_terminal_and_names_fold(width):
    lines = terminal(width)
    for cell in (*TABLE.rows[0][2:], *TABLE.heads[2:]):
        assert any(cell in line for line in lines), cell
    widest = max(len(line.rstrip()) for line in lines)
    assert widest <= max(width, 55)  # the names at their narrowest, and the widest number
    assert any(LONG in line for line in lines) is (width >= 140)


def test_a_pipe_gets_whole_rows_without_colours(capsys):
    show({}, [TABLE, "x" * 300])
    out = capsys.readouterr().out
    row = next(line for line in out.splitlines() if LONG in line)
    assert all(cell in row for cell in TABLE.rows[0])
    assert "x" * 300 in out.splitlines()
    assert "\x1b" not in out


def test_text_of_users_is_no_markup_and_moves_no_cursor():
    shown = text(
        [TextTable("[red]t[/red]", ("[b]h",), [("[bold]x[/bold] \x1b[31mred\x07\ty",)]), "[i]z[/i] 1:100:3 \x1b[2J"]
    )
    assert "[red]t[/red]" in shown
    assert "[b]h" in shown
    assert "[bold]x[/bold]  [31mred  y" in shown
    assert "[i]z[/i] 1:100:3  [2J" in shown


def test_a_document_is_all_there_is_on_standard_output(capfd):
    with output.document(True):
        sys.stdout.write("a library's line\n")
        subprocess.run([sys.executable, "-c", "print('a process of its own')"], check=True)
        show({"one": {"value": float("nan"), "high": float("inf"), "n": 3}}, [TABLE])
        show({"two": [1.5]}, ["never seen"])
        output.tell("two: the files are in x")
    out, err = capfd.readouterr()
    assert json.loads(out) == {"one": {"value": None, "high": None, "n": 3}, "two": [1.5]}
    assert "a library's line" in err
    assert "a process of its own" in err
    assert "two: the files are in x" in err
    assert "never seen" not in out + err


def test_after_an_error_there_is_no_document(capsys):
    def fails():
        with output.document(True):
            show({"one": 1}, [])
            raise UserError("no")

    with pytest.raises(UserError):
        fails()
    show({}, ["shown again"])
    assert capsys.readouterr().out == "shown again\n"


def mixpo(capfd, monkeypatch, *arguments: object) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["mixpo", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code, *capfd.readouterr()


def test_the_commands_that_print_numbers_have_it(tmp_path, capfd, monkeypatch):
    commands = typer.main.get_group(app).commands.items()
    assert {name for name, command in commands if any("--json" in option.opts for option in command.params)} == {
        "run", "status", "evaluate", "best-of", "score", "relabel", "ablate", "plan", "judge-check", "doctor",
    }  # fmt: skip
    recipe = tmp_path / "r.yaml"
    steps = "{questions: {sources: {s: {loader: scenes}}}, sample: {}}"
    recipe.write_text(f"run: {tmp_path / 'run'}\nsteps: {steps}\n")
    status, out, _ = mixpo(capfd, monkeypatch, "run", recipe, "--dry-run", "--json")
    assert (status, json.loads(out)["sample"]["state"]) == (0, "missing")
    status, out, err = mixpo(capfd, monkeypatch, "status", tmp_path / "none.yaml", "--json")
    assert (status, out) == (2, "")
    assert err.startswith("mixpo: ")
    rows = [{"response": answer, "answer": "5", "answer_type": "integer", "correct": True} for answer in ("5", "6")]
    (tmp_path / "labelled.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    status, out, _ = mixpo(capfd, monkeypatch, "judge-check", tmp_path / "labelled.jsonl", "--json")
    assert json.loads(out)["judge_check"]["all"]["agreement"] == 0.5


EVIL = "[/red] [algebra] \x1b]0;title\x07\x1b[31m\x9b31m\u202ee\u2028l\rl\bx"
FORBIDDEN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def test_names_and_texts_in_tables_bars_notes_and_logs_are_text(capsys):
    """A category `[/red]` ended in MarkupError after all the work, and `[algebra]` vanished."""
    score = Score(
        id="s",
        model=EVIL,
        benchmark=EVIL,
        style=EVIL,
        metric="accuracy",
        category="all",
        n=1,
        value=0.5,
        low=0.1,
        high=0.9,
    )
    gap = Comparison(
        benchmark=EVIL, metric="accuracy", category=EVIL, before_model=EVIL, before_style="direct", after_model=EVIL,
        after_style="cot", n=1, value=0.1, low=0.0, high=0.2, p=0.5, fixed=1, broken=0,
    )  # fmt: skip
    table.show("e", [score], [gap, replace(gap, category="all")], [{"text": EVIL}], Path(EVIL))
    list(progress.track([1], EVIL))
    progress.say(EVIL)
    progress.complain(EVIL)
    output.show({}, [output.coloured(EVIL, "red", EVIL), EVIL])
    record = logging.LogRecord("x", logging.WARNING, "", 0, "failed on %s", (EVIL,), None)
    output.tell(progress.CleanLines("%(message)s").format(record))
    for said in capsys.readouterr():
        assert not FORBIDDEN.search(said)
        assert said.count("[/red] [algebra]") >= 3


@pytest.mark.parametrize("width", [40, 200])
def test_names_are_text_in_a_terminal_too(width):
    console = Console(width=width, file=io.StringIO(), force_terminal=True, color_system=None)
    console.print(TextTable(EVIL, (EVIL, EVIL), [(EVIL, EVIL)]), crop=False)
    assert not FORBIDDEN.search(console.file.getvalue())
    assert "[algebra]" in console.file.getvalue()


@pytest.mark.parametrize(
    "arguments",
    [
        (EVIL,),
        ("run", EVIL),
        ("run", f"--{EVIL}"),
        ("doctor", EVIL),
        ("fields", EVIL),
        ("status", EVIL, "--json"),
        ("judge-check", EVIL),
    ],
    ids=["command", "recipe", "option", "argument", "field", "json", "file"],
)
def test_errors_quote_what_was_given_as_text(capfd, monkeypatch, arguments):
    status, out, err = mixpo(capfd, monkeypatch, *arguments)
    assert status == 2
    assert "[algebra]" in err
    assert not FORBIDDEN.search(out + err)
