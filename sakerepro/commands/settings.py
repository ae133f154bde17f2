"""The settings of a run as flags of ``train`` and ``tune``."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence

from .. import paths
from ..experiment import CHOICES, PRESETS, Experiment
from .common import numbers


def add_settings(parser: argparse.ArgumentParser, argv: Sequence[str] = ()) -> None:
    """Every field of Experiment as a flag, in brackets its value in the preset of ``argv``; without it the paper's."""
    preset = _asked("--preset", parser.get_default("preset"), argv) if argv else "paper"
    values = PRESETS.get(preset, {})
    about = f"a flag that is not given keeps the preset's value; in brackets that of preset {preset}"
    group = parser.add_argument_group("settings", about)
    for f in dataclasses.fields(Experiment):
        if f.name not in ("preset", "settings", "method_version"):
            choices = ("true", "false") if isinstance(f.default, bool) else CHOICES.get(f.name)
            _add(group, f.name, f.default, f"{f.metadata['help']} [{shown(values.get(f.name, f.default))}]", choices)


def add_method_settings(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """The settings of the method that ``argv`` names (SAKE's if it names none) as flags."""
    from .. import methods

    name, _ = methods.resolved(_asked("--method", "SAKE", argv))
    group = parser.add_argument_group(f"settings of {name}")
    for key, s in methods.class_of(name).settings.items():
        _add(group, key, s.default, f"{s.help} [{shown(s.default)}]")


def _asked(flag: str, default: str, argv: Sequence[str]) -> str:
    """The value of one flag of a command line whose other flags are not known yet."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument(flag, default=default, dest="value")
    return parser.parse_known_args(argv)[0].value


def _add(
    group: argparse._ArgumentGroup, name: str, default: object, help: str, choices: Sequence[str] | None = None
) -> None:
    kind = str if isinstance(default, bool | tuple) else type(default)
    group.add_argument(
        f"--{name.replace('_', '-')}",
        dest=f"set_{name}",
        type=kind,
        choices=choices,
        metavar=None if choices else kind.__name__.upper(),
        help=help.replace("%", "%%"),
    )


def shown(value: object) -> str:
    """A value of a setting as a flag's text."""
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def settings(arguments: argparse.Namespace) -> dict[str, object]:
    """The settings that were given, by name, in the types of Experiment and of the method."""
    defaults = {f.name: f.default for f in dataclasses.fields(Experiment)}
    values: dict[str, object] = {}
    for dest, given in vars(arguments).items():
        name = dest.removeprefix("set_")
        if name == dest or given is None:
            continue
        if isinstance(defaults.get(name), tuple):
            values[name] = numbers(given, name.replace("_", "-"))
        else:
            may_be_bool = isinstance(defaults.get(name, True), bool)  # so may a method's own setting
            values[name] = {"true": True, "false": False}.get(given, given) if may_be_bool else given
    return values | {k: absolute(str(values[k])) for k in ("dataset", "weights", "teacher_data") if k in values}


def absolute(name: str) -> str:
    """A folder or file as an absolute path, so that a run's id is the same from every folder; else the name itself."""
    from ..data.known import datasets, records

    path = paths.expanded(name)
    return str(path.resolve()) if name and name not in (*datasets(), *records("originals")) and path.exists() else name
