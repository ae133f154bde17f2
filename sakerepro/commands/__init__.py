"""The commands, a module a theme. Each has ``add(commands)``; nothing heavy is imported before a command runs."""

from __future__ import annotations

from . import check, data, items, photos, runs

MODULES = (items, runs, photos, check, data)  # in the order of --help
