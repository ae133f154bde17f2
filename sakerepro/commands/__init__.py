"""The commands, a module a theme. Each has ``add(commands)``; nothing heavy is imported before a command runs."""

from __future__ import annotations

from . import check, items, photos, runs

MODULES = (items, runs, check, photos)  # in the order of --help
