"""What is unclear is asked on the terminal, or guessed and said."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.console import Console

from mixpo.errors import UserError


@dataclass
class Asker:
    """`yes`: take the best guess and say it; else ask, or, where nobody can be asked, raise UserError."""

    yes: bool
    screen: Console = field(default_factory=lambda: Console(highlight=False, emoji=False, soft_wrap=True))

    def tell(self, text: str = "") -> None:
        """A line on standard output; what a file's text would do to the terminal is shown, not done."""
        self.screen.print("".join(each if each.isprintable() else repr(each)[1:-1] for each in text), markup=False)

    def choose(self, question: str, options: Sequence[str], best: str, other: str = "") -> str:
        """One of the options; `best`: what is taken on Enter, and with `--yes`. `other`: what else may be written."""
        if self.yes:
            self.tell(f"guessed: {question} {best or 'none'}")
            return best
        self._refuse_silence(question, best)
        for number, option in enumerate(options, 1):
            self.tell(f"  {number}. {option or 'none'}")
        while True:
            given = self._read(f"{question}{other and f' A number, or {other}.'} [{options.index(best) + 1}] ")
            given = given or str(options.index(best) + 1)
            if given.isascii() and given.isdigit() and 1 <= int(given) <= len(options):
                return options[int(given) - 1]
            if given in options or (other and not given.isdigit()):
                return given
            self.tell(f"write a number from 1 to {len(options)}")

    def _refuse_silence(self, question: str, best: str) -> None:
        if not sys.stdin.isatty():
            raise UserError(
                f"init would ask: {question} Run it in a terminal, say it with an option, or add --yes to take "
                f"{best or 'none'!r}"
            )

    def _read(self, prompt: str) -> str:
        try:
            return self.screen.input(prompt, markup=False).strip()
        except EOFError:  # Ctrl-D
            raise KeyboardInterrupt from None
