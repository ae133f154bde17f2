"""The package's errors. Each message says what is wrong, where (file, line, value) and what to do about it."""


class SakeError(Exception):
    """Base of every error that the package raises on purpose; the command line prints it without a traceback."""


class DataError(SakeError, ValueError):
    """An image, a list or a folder is missing, damaged or of a wrong form."""


class ConfigError(SakeError, ValueError):
    """A setting, a name or an argument has a value that cannot work."""


class RunError(SakeError, RuntimeError):
    """A run could not be finished, or what it left behind cannot be trusted."""


_MOST = 60  # names in a list; of more, the first few are listed


def near_misses(name: object, known: "list[str] | tuple[str, ...]") -> str:
    """A sentence with the closest known names: ``"Did you mean 'mini'? Known: ..."``."""
    import difflib

    names = [*dict.fromkeys(known)]
    close = difflib.get_close_matches(str(name), names, n=3, cutoff=0.5)
    offer = f"Did you mean {' or '.join(map(repr, close))}? " if close else ""
    shown = names if len(names) <= _MOST else [*names[:8], f"... ({len(names)} in all)"]
    return f"{offer}Known: {', '.join(map(str, shown))}."
