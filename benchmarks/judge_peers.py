"""The judge beside its peers, on labelled responses: mixpo, math-verify called plainly, VLMEvalKit's rules.

    MIXPO_DATA=FOLDER python benchmarks/judge_peers.py [--vlmevalkit CHECKOUT] [MORE.jsonl ...]

A Markdown table for each file of FOLDER/verdicts and each file named, over the rows that are neither hard nor soft.
math-verify: `verify(parse(truth), parse(response))`, all defaults; for choices `StringExtractionConfig` of the letters.
VLMEvalKit: a checkout of open-compass/VLMEvalKit, of which only files of rules are loaded. It is asked for what it
decides without its LLM: `can_infer` for choices, `YOrN_Extraction` for yes and no, MathVista's prefetch for integers
and decimals, MathVision's for the rest. These two compare the whole response with the truth: most sentences get no
verdict from them, since VLMEvalKit would now ask its LLM. No verdict counts as not correct, as an error does.
"""

import argparse
import ast
import operator
import os
import resource
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib.machinery import SourceFileLoader
from importlib.metadata import version
from multiprocessing import TimeoutError as TooLong
from multiprocessing import get_context
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock

import math_verify

from mixpo.prompts import letter
from mixpo.records import AnswerKind, Outcome, Question
from mixpo.verdicts.agreement import Judged, _judged, _rows, question_of
from mixpo.verdicts.infer import infer_kind
from mixpo.verdicts.kinds.option_truth import gold_indices

FILES = ("mathvista_responses", "mathvista_hand_checked", "adversarial", "cases", "equivalence")
LIMIT = 30.0
"""Seconds for one row, VLMEvalKit's own limit; math-verify stops itself after 5 s where its alarm gets through."""
MEMORY = 8 << 30
"""Bytes of address space for a peer: a tower of powers is a row too."""
RULES = {
    "choice": ("vlmeval.utils.matching_util", "can_infer"),
    "yes_no": ("vlmeval.dataset.utils.yorn", "YOrN_Extraction"),
    "integer": ("vlmeval.dataset.utils.mathvista", "post_check"),
    "decimal": ("vlmeval.dataset.utils.mathvista", "post_check"),
    "other": ("vlmeval.dataset.utils.mathv", "post_check"),
}
"""VLMEvalKit's rule for a kind of answer: its file and its name."""
STAND_INS = ("vlmeval", "vlmeval.smp", "vlmeval.smp.log", "vlmeval.smp.file", "vlmeval.utils", "pandas", "sty")
"""What VLMEvalKit's files import and the rules do not use: loggers, tables, colours."""
DECIDED = {Outcome.CORRECT: True, Outcome.INCORRECT: False}
OPERATORS: dict[type, Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
}

Judge = Callable[[Question, str], bool | None]
"""A question (its kind stated) and a response -> whether it is right; None: no verdict."""
JUDGES: list[Judge] = []  # in a peer's process: its judge


def begin(judge: Judge) -> None:
    """The start of a peer's process."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    JUDGES.append(judge)


def ask(question: Question, text: str) -> bool | None:
    """What the judge of this process says."""
    try:
        return JUDGES[-1](question, text)
    except BaseException:  # math-verify's time limit is not an Exception
        return None


def apart(judge: Judge, rows: list[tuple[Question, Judged]]) -> list[bool | None]:
    """What a judge says of rows, in a process of its own: another takes its place when a row hangs or ends it."""
    said: list[bool | None] = []
    pool = None
    for question, item in rows:
        pool = pool or get_context("fork").Pool(1, begin, (judge,))
        try:
            said.append(pool.apply_async(ask, (question, item.row["response"])).get(LIMIT))
        except TooLong:
            said.append(None)
            pool.terminate()
            pool = None
    if pool is not None:
        pool.terminate()
    return said


def options(question: Question) -> tuple[tuple[str, ...], str]:
    """The letters of a question's options, and the right one."""
    gold = min(gold_indices(question))
    return tuple(letter(index) for index in range(len(question.choices) or max(4, gold + 1))), letter(gold)


def plain_math_verify(question: Question, text: str) -> bool | None:
    """math-verify with its defaults."""
    if question.kind is AnswerKind.CHOICE:
        letters, right = options(question)
        config = [math_verify.StringExtractionConfig(strings=letters)]
        gold, said = math_verify.parse(right, config), math_verify.parse(text, config)
    else:
        gold, said = math_verify.parse(question.answer), math_verify.parse(text)
    return bool(math_verify.verify(gold, said)) if said else None


def arithmetic(text: str) -> Any:
    """`eval` as VLMEvalKit's files get it: they give it what a model wrote, so it knows numbers and signs only."""
    return _value(ast.parse(text.strip(), mode="eval").body)


def _value(node: ast.expr) -> Any:
    match node:
        case ast.Constant(value):
            return value
        case ast.List(items):
            return [_value(item) for item in items]
        case ast.UnaryOp(sign, operand) if type(sign) in OPERATORS:
            return OPERATORS[type(sign)](_value(operand))
        case ast.BinOp(left, sign, right) if type(sign) in OPERATORS:
            return OPERATORS[type(sign)](_value(left), _value(right))
    raise ValueError("more than arithmetic")


def module(folder: Path, name: str) -> Any:
    """One file of VLMEvalKit, loaded by its path, with stand-ins for the imports that its rules do not need."""
    sys.modules["timeout_decorator"] = MagicMock(timeout=lambda *_, **__: lambda rule: rule)  # LIMIT is in its place
    for stand_in in (*STAND_INS, "huggingface_hub.utils._cache_manager"):
        sys.modules.setdefault(stand_in, MagicMock())
    if name.endswith("yorn"):
        punctuation = module(folder, "vlmeval.smp.misc").process_punctuation
        vars(sys.modules["vlmeval.smp"])["process_punctuation"] = punctuation
    loaded: Any = ModuleType(name)
    loaded.eval = arithmetic
    SourceFileLoader(name, str(folder / f"{name.replace('.', '/')}.py")).exec_module(loaded)
    return loaded


def sort_of(question: Question) -> str:
    """Which of VLMEvalKit's rules a question falls under."""
    return question.kind if question.kind in RULES else "other"


def vlmevalkit(question: Question, text: str, rules: dict[str, Any]) -> bool | None:
    """VLMEvalKit's rule for a question, without its LLM."""
    sort = sort_of(question)
    if sort == "choice":
        letters, right = options(question)
        said = rules[sort](text, dict(zip(letters, question.choices or letters)))
        return said == right if said else None
    if sort == "yes_no":
        said = rules[sort](text).lower()
        return said == str(question.answer).strip().lower() if said in ("yes", "no") else None
    asked = {"answer": question.answer, "prediction": text, "question_type": "free_form", "choices": "[]"}
    found = rules[sort]({**asked, "answer_type": "float" if sort == "decimal" else sort}, prefetch=True)
    return None if found is False else True


def read(path: Path) -> list[tuple[Question, Judged]]:
    """The rows of a file that count: the question with its kind, and the row with its label and mixpo's verdict."""
    firm = [(n, row) for n, row in enumerate(_rows(path), 1) if not (row.get("hard") or row.get("soft"))]
    asked = [(question_of(row, str(n)), _judged(row, path, n)) for n, row in firm]
    return [(replace(question, kind=question.kind or infer_kind(question)), item) for question, item in asked]


def line(name: str, rows: list[tuple[Question, Judged]], said: list[bool | None]) -> str:
    """A judge's line of a table."""
    both = [(item.expected, bool(verdict)) for (_, item), verdict in zip(rows, said)]
    false, missed = both.count((False, True)), both.count((True, False))
    agreement = 1 - (false + missed) / max(len(both), 1)
    return f"| {name} | {agreement:.2%} | {false:,} | {missed:,} | {said.count(None):,} |"


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="*", help="more labelled rows, as `mixpo judge-check` reads them")
    parser.add_argument("--vlmevalkit", type=Path, help="a checkout of open-compass/VLMEvalKit")
    given = parser.parse_args()
    data = os.environ.get("MIXPO_DATA")
    files = [Path(data) / "verdicts" / f"{name}.jsonl.gz" for name in FILES] if data else []
    if not (files := files + given.files):
        parser.error("set MIXPO_DATA, or name a file of labelled rows")
    rules, missing = {}, dict.fromkeys(RULES, "no checkout is named, see --vlmevalkit")
    for sort, (file, name) in RULES.items() if given.vlmevalkit else ():
        try:
            rules[sort] = getattr(module(given.vlmevalkit, file), name)
            del missing[sort]
        except Exception as error:
            missing[sort] = f"{type(error).__name__}: {error}"
    print(f"mixpo {version('mixpo')}, math-verify {version('math-verify')}")
    for path in files:
        rows = read(path)
        right = sum(item.expected for _, item in rows)
        print(f"\n### {path.name}: {len(rows):,} rows, {right:,} of them labelled correct\n")
        print("| judge | agreement | false CORRECT | missed CORRECT | no verdict |\n| --- | --- | --- | --- | --- |")
        print(line("mixpo", rows, [DECIDED.get(item.verdict.outcome) for _, item in rows]))
        print(line("math-verify, called plainly", rows, apart(plain_math_verify, rows)), flush=True)
        lacking = sorted({sort_of(question) for question, _ in rows} & missing.keys())
        if not lacking:
            print(line("VLMEvalKit's rules, no LLM", rows, apart(partial(vlmevalkit, rules=rules), rows)), flush=True)
        for sort in lacking:
            print(f"\nVLMEvalKit is left out, as its rule for {sort} answers cannot be loaded: {missing[sort]}")


if __name__ == "__main__":
    main()
