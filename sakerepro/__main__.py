"""The command line: ``sakerepro`` or ``python -m sakerepro``. The commands are in ``commands/``."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Sequence

from .commands.parser import parser
from .errors import ConfigError, DataError, SakeError

# Failures of the machine, not errors of the code: a sentence helps more than a traceback.
_NAMES = "ENOSPC EDQUOT EFBIG EROFS EACCES EPERM EISDIR ENOTDIR ENAMETOOLONG ELOOP EIO ESTALE EMFILE ENOMEM ENOLCK"
MACHINE = {getattr(errno, name) for name in (*_NAMES.split(), "EOPNOTSUPP")}
# safetensors, SQLite and PyTorch wrap a full disk in errors of their own, PyTorch without saying so
WRITING = ("No space left", "disk is full", "StorageFull", "PytorchStreamWriter", "inline_container", "iostream error")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code; errors that the package raises on purpose are one sentence."""
    for stream in (sys.stdout, sys.stderr):  # a terminal without UTF-8 shows other letters as \\xe9
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        completing = os.environ.get("COMP_LINE", "").split()[1:]
        top = parser(completing or (sys.argv[1:] if argv is None else argv))
        if "_ARGCOMPLETE" in os.environ:  # the shell asks for completions
            from .commands.completion import complete

            complete(top)
        arguments = top.parse_args(argv)
        if not arguments.command:
            top.print_help()
            return 0
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
    except BrokenPipeError:  # `sakerepro runs | head` stops reading
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if not (sentence := _of_machine(error)):
            raise
        print(f"sakerepro: {sentence}", file=sys.stderr)
        return 1


def _of_machine(error: BaseException) -> str:
    """A sentence for a full disk, missing rights and the like; empty for other errors."""
    if isinstance(error, OSError) and error.errno in MACHINE:
        return f"{f'{error.filename}: ' if error.filename else ''}{error.strerror}. {_ELSEWHERE}"
    if any(words in str(error) for words in WRITING):
        return f"a file could not be written; the disk is probably full. {_ELSEWHERE}"
    return _of_machine(error.__cause__) if error.__cause__ else ""


_ELSEWHERE = (
    "Make room or change its rights, or name another place (SAKEREPRO_RUNS, SAKEREPRO_CACHE, SAKEREPRO_RESULTS, "
    "SAKEREPRO_COLLECTIONS). What was finished is whole, and the same command goes on."
)


if __name__ == "__main__":
    sys.exit(main())
