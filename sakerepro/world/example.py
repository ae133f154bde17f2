"""An example of data of one's own: a generated plain folder, for first steps with the commands and the notebook."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from .. import paths
from ..files import lock
from .classes import of_role
from .files import write_world

SEEN, UNSEEN, PER_CLASS, SIZE = 12, 6, 16, 48


def example_folder(to: Path | str | None = None) -> Path:
    """A folder ``photo/<class>/*``, ``sketch/<class>/*`` with ``unseen.txt``.

    Its 18 classes are classes of the generated world. The folder shows how things go, and is no evidence.

    Args:
        to: a new or empty folder; ``None`` for one in the cache, which is drawn once.

    Raises:
        DataError: if ``to`` holds something.
    """
    seen, unseen = ([c.name for c in of_role(role)] for role in ("seen", "unseen"))
    write = partial(write_world, seen=seen[::2][:SEEN], unseen=unseen[::2][:UNSEEN], per_class=PER_CLASS, size=SIZE)
    if to is not None:
        return write(to)
    folder = paths.cache() / "example-folder"
    with lock(folder.with_name(".example-folder.lock"), "Another process draws the example; waiting for it."):
        return folder if folder.is_dir() else write(folder)
