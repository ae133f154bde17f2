"""The command line: ``sakerepro`` or ``python -m sakerepro``. The commands are in ``commands/``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from .commands import MODULES
from .errors import ConfigError, DataError, SakeError

EXIT_CODES = """exit codes:
  0    done
  1    something failed (one sentence says what and what to do)
  2    wrong usage, or a setting that cannot work
  3    data is missing or not what it has to be, or a check found problems
  130  interrupted; the same command goes on from where it was"""


def parser() -> argparse.ArgumentParser:
    """The whole command line as one parser."""
    top = argparse.ArgumentParser(
        prog="sakerepro", description="SAKE: zero-shot sketch-based image retrieval, reproduced.",
        epilog=EXIT_CODES, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    from . import __version__

    top.add_argument("--version", action="version", version=f"sakerepro {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND")
    for module in MODULES:
        module.add(commands)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code; errors that the package raises on purpose are one sentence."""
    top = parser()
    arguments = top.parse_args(argv)
    if not arguments.command:
        top.print_help()
        return 0
    try:
        code = arguments.function(arguments) or 0
        sys.stdout.flush()
        return code
    except ConfigError as error:
        print(f"sakerepro: {error}", file=sys.stderr)
        return 2
    except SakeError as error:
        print(f"sakerepro: {type(error).__name__}: {error}", file=sys.stderr)
        return 3 if isinstance(error, DataError) else 1
    except KeyboardInterrupt:
        print("\nsakerepro: interrupted; the same command goes on from where it was.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `sakerepro runs | head`: nobody reads on
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


if __name__ == "__main__":
    sys.exit(main())
