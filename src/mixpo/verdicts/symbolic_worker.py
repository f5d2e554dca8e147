"""The subprocess of `mixpo.verdicts.symbolic`: reads `[gold, answer]`, writes true, false or null, a line each."""

import json
import os
import sys

MEMORY = 3 * 2**30
"""Bytes of address space, SymPy's own included: a huge power ends in MemoryError, not in the machine's swap."""


def main() -> None:
    """Answers until standard input is closed."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints must not be taken for an answer
    _limit_memory()
    from math_verify import LatexExtractionConfig, parse, verify

    latex = [LatexExtractionConfig()]

    def parsed(formula: str) -> list:
        return parse(f"${formula}$", latex, parsing_timeout=None, raise_on_error=False)

    verify(parsed("x^2+\\sin x"), parsed("\\frac{x^2}{1}"), timeout_seconds=None)  # what is imported on use
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        gold, answer = json.loads(line)
        result = None
        try:
            truth, said = parsed(gold), parsed(answer)
            if truth:
                result = bool(said) and verify(truth, said, timeout_seconds=None, raise_on_error=True)
        except (
            ArithmeticError,
            AttributeError,
            LookupError,
            MemoryError,
            NotImplementedError,
            RecursionError,
            TypeError,
            ValueError,
        ):
            result = None  # SymPy's own limits: not to be compared
        print(json.dumps(result), file=answers, flush=True)


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # not on Windows
        return
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


if __name__ == "__main__":
    main()
