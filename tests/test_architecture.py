"""The import table of docs/design.md, read off the import statements."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "mixpo"
COMMON = {
    "records",
    "files",
    "tables",
    "column_files",
    "text_files",
    "checksums",
    "shards",
    "signals",
    "out_files",
    "yaml_file",
    "notes",
    "sheets",
    "ids",
    "json_lines",
    "lock",
    "config",
    "validation",
    "recipe",
    "references",
    "registry",
    "errors",
    "prompts",
    "messages",
    "names",
    "number_words",
    "removing",
    "conversations",
    "values",
    "instructions",
    "images",
    "videos",
    "pictures",
    "progress",
    "output",
    "left_out",
    "endpoint",
    "keys",
    "replies",
    "addresses",
    "devices",
    "child",
    "model_inputs",
}
TOP = {
    "ablate", "cli", "cli_steps", "cli_tools", "doctor", "fields", "fingerprints", "pipeline", "publish", "quickstart",
    "redo", "resolve", "rounds", "side_by_side", "status", "status_check", "__init__", "__main__",
}  # fmt: skip
MAY_IMPORT = {
    "models": COMMON,
    "questions": COMMON,
    "responses": COMMON | {"models"},
    "verdicts": COMMON,
    "pairs": COMMON | {"questions", "verdicts"},  # whose truth and whose judges tell right steps
    "batches": COMMON | {"models"},
    "losses": set(),
    "training": COMMON | {"models", "batches", "losses"},
    "evaluation": COMMON | {"questions", "responses", "verdicts"},
    "report": COMMON | {"evaluation"},  # for its statistics and metrics: plain arithmetic
    "app": COMMON | {"report"},
    "convert": COMMON | {"models"},
    "plan": COMMON | {"models", "batches", "training"},
    # What a recipe is about to do: it asks every step.
    "dry_run": COMMON
    | {"questions", "models", "responses", "pairs", "batches", "training", "evaluation", "plan", "status"},
    # It writes a recipe, and sees that it runs.
    "init": COMMON
    | {"questions", "verdicts", "pairs", "models", "batches", "training", "plan", "dry_run", "pipeline", "status"},
}
TORCH_SIDE = {"models", "batches", "losses", "training", "convert", "plan"}
HEAVY = {
    "torch",
    "transformers",
    "datasets",
    "pyarrow",
    "math_verify",
    "sympy",
    "mpmath",
    "latex2sympy2_extended",
    "antlr4",
    "ray",
    "vllm",
    "openai",
    "tenacity",
    "openpyxl",
    "gradio",
    "av",
    "duckdb",
    "peft",
    "sentencepiece",
}
FILES = sorted(SOURCE.rglob("*.py"))


def imports(path: Path, *, top_level_only: bool = False) -> list[tuple[str, int]]:
    """Every module a file imports, with the line; top level: what importing the file imports."""
    return imports_of(path.read_text(encoding="utf-8"), top_level_only=top_level_only, where=str(path))


def imports_of(source: str, *, top_level_only: bool = False, where: str = "") -> list[tuple[str, int]]:
    tree = ast.parse(source)
    found: list[tuple[str, int]] = []
    for node in on_import(tree) if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{where}:{node.lineno}: relative import"
            found += [(submodule(node.module or "", alias.name), node.lineno) for alias in node.names]
    return found


def on_import(node: ast.AST) -> Iterator[ast.AST]:
    """What runs when a file is imported: all but the bodies of functions and what is for type checkers alone."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            continue
        yield child
        yield from on_import(child)


def submodule(module: str, name: str) -> str:
    """`from mixpo import training` imports `mixpo.training`, `from mixpo import __version__` only `mixpo`."""
    below = SOURCE / name
    return f"mixpo.{name}" if module == "mixpo" and (below.is_dir() or below.with_suffix(".py").exists()) else module


def test_imports_are_seen_however_they_are_written():
    source = (
        "from mixpo import training, __version__\n"
        "try:\n    import torch\nexcept ImportError:\n    from vllm import LLM\n"
        "class A:\n    import ray\n"
        "if TYPE_CHECKING:\n    import peft\n"
        "def f():\n    import duckdb\n"
    )
    top = ["mixpo.training", "mixpo", "torch", "vllm", "ray"]
    assert sorted(module for module, _ in imports_of(source, top_level_only=True)) == sorted(top)
    assert sorted(module for module, _ in imports_of(source)) == sorted([*top, "peft", "duckdb"])


def layer(path: Path) -> str:
    first = path.relative_to(SOURCE).parts[0]
    return first.removesuffix(".py")


def part_of(module: str) -> str | None:
    parts = module.split(".")
    return (parts[1] if len(parts) > 1 else "__init__") if parts[0] == "mixpo" else None


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_layers_import_downwards_only(path):
    here = layer(path)
    if here in TOP:
        return
    allowed = (COMMON if here in COMMON else MAY_IMPORT[here]) | {here, "__init__"}
    for module, line in imports(path):
        part = part_of(module)
        assert part is None or part in allowed, f"{path}:{line}: {here} may not import mixpo.{part}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_heavy_libraries_are_imported_on_use(path):
    here = layer(path)
    allowed = {"torch", "transformers"} if here in TORCH_SIDE else set()
    if here == "losses":
        allowed = {"torch"}
    if path.relative_to(SOURCE).parts[:2] == ("responses", "backends"):
        allowed = HEAVY  # a backend's file is itself imported on use
    for module, line in imports(path, top_level_only=True):
        library = module.split(".")[0]
        assert library not in HEAVY - allowed, f"{path}:{line}: {library} must be imported where it is used"


def name_of(path: Path) -> str:
    parts = ("mixpo", *path.relative_to(SOURCE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_no_file_imports_itself_by_a_detour():
    """Over all files and all imports, those inside functions too: a circle is one module in several files."""
    names = {name_of(path) for path in FILES}
    graph = {}
    for path in FILES:
        found: set[str] = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                # `from package import module` imports the module, `from module import name` the module named.
                below = {f"{node.module}.{alias.name}" for alias in node.names}
                found |= (below & names) or {node.module}
        graph[name_of(path)] = found & names
    try:
        tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(" <- ".join(error.args[1]))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_file_says_what_it_is(path):
    """There is no list of files anywhere else."""
    text = path.read_text(encoding="utf-8")
    assert not text or ast.get_docstring(ast.parse(text))


def test_no_forbidden_names():
    names = {path.name for path in FILES}
    assert not names & {"utils.py", "common.py", "helpers.py", "constants.py"}


LINES = 300
LONGER_FILES = {"records.py"}
"""The records of a run: one table of fields, looked up in one place."""
FUNCTION_LINES = 60
LONGER_FUNCTIONS: set[str] = set()
PARAMETERS = 6
MORE_PARAMETERS = {
    # transformers prescribes what an attention function takes.
    "models/attention.py:shared_prefix",
    "models/attention.py:flex_attention",
    "models/cpu_attention.py:attention_function",
    "responses/backends/embedded/attention.py:_attention_function",
    # typer makes an option of each parameter: an import, evaluation without a recipe, a run, sampling on a cluster.
    "cli_steps.py:import_",
    "cli_steps.py:evaluate",
    "cli_steps.py:run",
    "cli_steps.py:sample",
    "cli_tools.py:init",
    # What TRL's DPOTrainer takes.
    "training/trainer.py:__init__",
}


def test_class_names_are_unique():
    """A name says what a class is, wherever it is imported; each step's own settings are its `Config`."""
    places: dict[str, list[str]] = {}
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, []).append(str(path.relative_to(SOURCE)))
    assert {name: found for name, found in places.items() if len(found) > 1 and name != "Config"} == {}


def test_files_are_short():
    lengths = {str(path.relative_to(SOURCE)): len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert {name for name, lines in lengths.items() if lines > LINES} == LONGER_FILES


def functions() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{path.relative_to(SOURCE)}:{node.name}", node


def test_functions_are_short():
    lengths = {name: (node.end_lineno or 0) - node.lineno + 1 for name, node in functions()}
    assert {name for name, lines in lengths.items() if lines > FUNCTION_LINES} == LONGER_FUNCTIONS


def test_functions_take_few_parameters():
    found = set()
    for name, node in functions():
        named = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
        if len(named) - (named[:1] in (["self"], ["cls"])) > PARAMETERS:
            found.add(name)
    assert found == MORE_PARAMETERS


PRINTERS = {"output.py", "progress.py"}
"""The two that write on the screen; they print text as text."""
OTHER_PRINTERS = {
    "init/ask.py": 1,  # a question is asked on a console of its own, which shows what a character would do
    "verdicts/mathematics/symbolic_worker.py": 2,  # to the process that started it
}


def test_only_two_files_write_on_the_screen():
    """Whatever a name or a model's answer holds, it is never markup there and moves no cursor (`progress.clean`)."""
    found: Counter[str] = Counter()
    for path in FILES:
        name = str(path.relative_to(SOURCE))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and name not in PRINTERS:
                called = ast.unparse(node.func)
                printed = called == "print" or called.endswith((".print", ".echo", ".secho", ".excepthook"))
                if printed or re.search(r"\bstd(out|err)(\.buffer)?\.write(lines)?$", called):
                    found[name] += 1
    assert found == OTHER_PRINTERS
