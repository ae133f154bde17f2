"""An example of data of one's own: a generated plain folder, for first steps with the commands and the notebook."""

from __future__ import annotations

from pathlib import Path

from .. import paths
from ..files import lock
from .classes import of_role
from .files import write_world

SEEN, UNSEEN, PER_CLASS, SIZE = 12, 6, 16, 48


def example_folder() -> Path:
    """A folder ``photo/<class>/*``, ``sketch/<class>/*`` with ``unseen.txt``, drawn once into the cache.

    Its 18 classes are classes of the miniature world. It is generated: it shows how things go, and is no evidence.
    """
    folder = paths.cache() / "example-folder"
    with lock(folder.with_name(".example-folder.lock"), "Another process draws the example; waiting for it."):
        if not folder.is_dir():
            seen, unseen = ([c.name for c in of_role(role)] for role in ("seen", "unseen"))
            write_world(folder, seen=seen[::2][:SEEN], unseen=unseen[::2][:UNSEEN], per_class=PER_CLASS, size=SIZE)
    return folder
