"""Where the command line begins (`mixpo`, `python -m mixpo`): a Ctrl-C while it is imported has no traceback either."""

import sys
from typing import NoReturn


def main() -> NoReturn:
    try:
        from mixpo import cli
    except KeyboardInterrupt:
        sys.exit(130)
    cli.main()


if __name__ == "__main__":
    main()
