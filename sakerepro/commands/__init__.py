"""The commands, a module a theme. Each has ``add(commands)``; nothing heavy is imported before a command runs."""

from __future__ import annotations

from . import card, check, completion, data, demo, exchange, items, measuring, photos, runs, tuning

# in the order of --help
MODULES = (demo, items, runs, tuning, measuring, card, exchange, photos, check, data, completion)
