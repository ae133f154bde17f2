"""The package's errors. Each message says what is wrong, where (file, line, value) and what to do about it."""


class SakeError(Exception):
    """Base of every error that the package raises on purpose; the command line prints it without a traceback."""


class DataError(SakeError, ValueError):
    """An image, a list or a folder is not what it has to be."""


class ConfigError(SakeError, ValueError):
    """A setting, a name or an argument has a value that cannot work."""


class RunError(SakeError, RuntimeError):
    """A run could not be finished, or what it left behind cannot be trusted."""


_ALL = 60  # names that are all listed


def near_misses(name: object, known: "list[str] | tuple[str, ...]") -> str:
    """A sentence that offers the closest known names: ``"Did you mean 'mini'? Known: ..."``; of many, the first few."""
    import difflib

    known = [*dict.fromkeys(known)]
    close = difflib.get_close_matches(str(name), known, n=3, cutoff=0.5)
    offer = f"Did you mean {' or '.join(map(repr, close))}? " if close else ""
    shown = known if len(known) <= _ALL else [*known[:8], f"... ({len(known)} in all)"]
    return f"{offer}Known: {', '.join(map(str, shown))}."
