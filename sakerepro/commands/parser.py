"""The parser of the commands: help in groups, and near misses for a command, a choice or a flag that is unknown."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn

from ..errors import near_misses

GROUPS = {
    "start here": ("demo", "check", "train", "index", "query"),
    "runs and methods": ("runs", "evaluate", "compare", "card", "methods", "tune", "import", "export"),
    "the paper": ("item", "status", "tables"),
    "maintenance": ("data", "weights", "teacher", "completion"),
}


class Parser(argparse.ArgumentParser):
    """A parser whose errors offer what may have been meant; its sub-parsers are of the same kind."""

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            known = [str(choice) for choice in action.choices]
            raise argparse.ArgumentError(action, f"{value!r} is unknown. {near_misses(value, known)}")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """As argparse does; what a command does not know is refused here, where its flags are known."""
        found, unknown = super().parse_known_args(args, namespace)
        if unknown and self._subparsers is None:
            self._refuse(unknown)
        return found, unknown

    def _refuse(self, unknown: Sequence[str]) -> NoReturn:
        flags = [flag for action in self._actions for flag in action.option_strings if flag.startswith("--")]
        name = next((word.partition("=")[0] for word in unknown if word.startswith("--")), "")
        offer = near_misses(name, flags).partition("Known:")[0] if name else ""
        self.error(f"unknown: {' '.join(unknown)}. {offer}`{self.prog} --help` shows what there is.")


class Grouped(argparse.RawDescriptionHelpFormatter):
    """Commands by ``GROUPS``."""

    def _format_action(self, action: argparse.Action) -> str:
        if not isinstance(action, argparse._SubParsersAction):
            return super()._format_action(action)
        by_name = {command.dest: command for command in action._choices_actions}
        text = ""
        for title, names in GROUPS.items():
            text += f"  {title}:\n"
            self._indent()
            text += "".join(self._format_action(by_name[name]) for name in names if name in by_name)
            self._dedent()
        return text
