"""The commands, a module a theme. Each has ``add(commands)``; nothing heavy is imported before a command runs."""

from __future__ import annotations

from . import check, items, runs

MODULES = (items, runs, check)  # in the order of --help
