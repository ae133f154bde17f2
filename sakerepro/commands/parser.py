"""The parser of the commands in ``tables/commands.toml``: help in groups, near misses for an unknown word."""

from __future__ import annotations

import argparse
import functools
import pkgutil
import tomllib
from collections.abc import Sequence
from typing import Any

from .. import paths
from ..errors import near_misses
from .settings import add_method_settings, add_settings


@functools.cache
def described() -> dict[str, Any]:
    """The content of ``tables/commands.toml``."""
    return tomllib.loads(paths.package_data("commands.toml").read_text(encoding="utf-8"))


def parser(argv: Sequence[str] = ()) -> argparse.ArgumentParser:
    """The whole command line as one parser; flags of ``train`` and ``tune`` depend on preset and method in ``argv``."""
    from .. import __version__

    about = "SAKE: zero-shot sketch-based image retrieval, reproduced."
    top = Parser(prog="sakerepro", description=about, epilog=described()["exit_codes"], formatter_class=Grouped)
    top.add_argument("--version", action="version", version=f"sakerepro {__version__}")
    actions = {"": top.add_subparsers(dest="command", metavar="COMMAND")}
    for name, command in described()["commands"].items():
        group, _, word = name.rpartition(" ")
        example = f"example: sakerepro {command['example']}" if "example" in command else None
        words = {"help": command["help"], "description": command.get("description"), "epilog": example}
        command_parser = actions[group].add_parser(word, **words)
        if "call" in command:
            _add_arguments(command_parser, command)
        else:
            actions[name] = command_parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name in ("train", "tune"):
        command, chosen = actions[""].choices[name], name in argv[:1]
        add_settings(command, argv if chosen else ())
        if chosen:  # other commands and the top-level help need not import a method
            add_method_settings(command, argv)
    return top


def _add_arguments(command: argparse.ArgumentParser, words: dict[str, Any]) -> None:
    either = command.add_mutually_exclusive_group(required=True) if "either" in words else command
    for name, options in words.get("arguments", {}).items():
        argument = described()["shared"].get(name, {}) | options
        if argument.get("type") == "int":
            argument["type"] = int
        (either if name in words.get("either", ()) else command).add_argument(name, **argument)
    command.set_defaults(function=functools.partial(_call, words["call"]))


def _call(function: str, arguments: argparse.Namespace) -> int | None:
    """Run a command: only now its module is imported, with all that it needs."""
    return pkgutil.resolve_name(f"{__package__}.{function}")(arguments)


class Parser(argparse.ArgumentParser):
    """A parser whose errors offer near misses; its sub-parsers are of the same class."""

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            known = [str(choice) for choice in action.choices]
            raise argparse.ArgumentError(action, f"{value!r} is unknown. {near_misses(value, known)}")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """As argparse does, but refuse a command's unknown words here, where its flags are known."""
        parsed, unknown = super().parse_known_args(args, namespace)
        if unknown and self._subparsers is None:
            flags = [flag for action in self._actions for flag in action.option_strings if flag.startswith("--")]
            name = next((word.partition("=")[0] for word in unknown if word.startswith("--")), "")
            offer = near_misses(name, flags).partition("Known:")[0] if name else ""
            self.error(f"unknown: {' '.join(unknown)}. {offer}`{self.prog} --help` shows what there is.")
        return parsed, unknown


class Grouped(argparse.RawDescriptionHelpFormatter):
    """Commands by their groups."""

    def _format_action(self, action: argparse.Action) -> str:
        if not isinstance(action, argparse._SubParsersAction):
            return super()._format_action(action)
        by_name = {command.dest: command for command in action._choices_actions}
        text = ""
        for title, names in described()["groups"].items():
            text += f"  {title}:\n"
            self._indent()
            text += "".join(self._format_action(by_name[name]) for name in names)
            self._dedent()
        return text
