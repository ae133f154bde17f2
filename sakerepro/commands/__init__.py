"""The commands, a module a theme. Each has ``add(commands)``; nothing heavy is imported before a command runs."""

from __future__ import annotations

from . import items, runs

MODULES = (items, runs)  # in the order of --help
