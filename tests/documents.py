"""Commands, Python and links in Markdown files, what `make` would do, and which commands there are."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
from pathlib import Path

from sakerepro import paths


def written() -> list[Path]:
    """The documents that are not generated: README.md, CONTRIBUTING.md and docs/*.md."""
    return [
        *(paths.root() / name for name in ("README.md", "CONTRIBUTING.md")),
        *sorted((paths.root() / "docs").glob("*.md")),
    ]


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of a language, in order."""
    return [m[1] for m in re.finditer(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)]


def commands(text: str) -> list[str]:
    """What stands after a ``$`` in console blocks, without the comment; other lines are output."""
    lines = [line[2:] for block in blocks(text, "console") for line in block.splitlines() if line.startswith("$ ")]
    return [line.partition("  #")[0].strip() for line in lines]


def steps(path: Path) -> list[tuple[str, str]]:
    """("console", command) and ("python", block) in the order in which a reader meets them."""
    parts = []
    for m in re.finditer(r"^```(console|python)\n.*?^```$", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        if m[1] == "python":
            parts += [("python", block) for block in blocks(m[0], "python")]
        else:
            parts += [("console", command) for command in commands(m[0])]
    return parts


def words(command: str) -> list[str]:
    """The arguments of the ``sakerepro`` in a command line, also of one inside ``source <(...)`` or before a pipe."""
    inner = re.search(r"sakerepro ([^()|]*)", command)
    if inner is None:
        raise ValueError(f"{command!r} calls neither make nor sakerepro")
    return shlex.split(inner[1])


def links(path: Path) -> list[tuple[str, str]]:
    """(file, anchor) of every link that stays in the repository; an empty file is the document itself."""
    targets = re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8"))
    return [(link.partition("#")[0], link.partition("#")[2]) for link in targets if "://" not in link]


def anchors(path: Path) -> set[str]:
    """The anchors of a document's headings, as forges make them."""
    heads = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    """What ``make`` would do with these arguments."""
    environment = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL")}
    dry = ["make", "-n", "-C", str(paths.root()), "--no-print-directory", *arguments]
    return subprocess.run(dry, capture_output=True, text=True, env=environment, timeout=60)


def command_tree(p: argparse.ArgumentParser, *path: str) -> dict[tuple[str, ...], argparse.ArgumentParser]:
    """Every command with its parser, such as that of ``("sakerepro", "data", "fetch")``."""
    path = path or (p.prog,)
    inner = [a.choices for a in p._actions if isinstance(a, argparse._SubParsersAction)]
    trees = [command_tree(q, *path, name) for choices in inner for name, q in choices.items()]
    return {path: p} | {k: v for tree in trees for k, v in tree.items()}
