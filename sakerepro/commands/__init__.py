"""The commands, a module a theme. Each has ``add(commands)``; nothing heavy is imported before a command runs."""

from __future__ import annotations

from . import card, check, completion, data, items, measuring, photos, runs, tuning

MODULES = (items, runs, tuning, measuring, card, photos, check, data, completion)  # in the order of --help
