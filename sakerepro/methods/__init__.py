"""The methods by name, and the experiments that use them.

A method is one class in a file of this folder and one line in ``METHODS``, or a class in a module of your own:
``method="my_module:MyMethod"``. ``ALIASES`` are names for settings of a method. They are resolved when an experiment is
made, so that "L_B" and SAKE with ``lambda_sake=0`` are the same run.
"""

from __future__ import annotations

import dataclasses
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import experiment, inputs
from ..data.known import datasets, named
from ..errors import ConfigError, near_misses
from ..experiment import Experiment
from .contract import Features, Method, Optimisers, Setting, Side

__all__ = [
    "ALIASES",
    "METHODS",
    "Features",
    "Method",
    "Optimisers",
    "Setting",
    "Side",
    "baseline",
    "change",
    "checked",
    "class_of",
    "flat",
    "imitated",
    "label",
    "lacks",
    "preset",
    "resolved",
    "setting",
    "used",
]

METHODS = {
    "SAKE": "sake:SAKE",
    "DSH": "dsh:DSH",
    "ZSIH": "zsih:ZSIH",
    "SEM-PCYC": "sem_pcyc:SEMPCYC",
    "GN-Triplet": "gn_triplet:GNTriplet",
    "EMS": "ems:EMS",
    "SAE": "sae:SAE",
    "ZSH": "zsh:ZSH",
    "CVAE": "cvae:CVAE",
    "CAAE": "caae:CAAE",
}
ALIASES: dict[str, tuple[str, dict[str, Any]]] = {
    "pretrained": ("SAKE", {"epochs": 0}),
    "L_B": ("SAKE", {"lambda_sake": 0.0}),
    "L_B + L_T": ("SAKE", {"lambda1": 1.0, "lambda2": 0.0}),
}
_FIELDS: dict[str, Any] = {f.name: f.default for f in dataclasses.fields(Experiment)}


def resolved(name: str) -> tuple[str, dict[str, Any]]:
    """The method that a name or an alias stands for, and the fields and settings that the alias sets."""
    return ALIASES.get(inputs.kind(name, str, "method", "Give a name; `sakerepro methods` lists them."), (name, {}))


def class_of(name: str) -> type[Method]:
    """The class of a method: one of ``METHODS``, or ``module:Class`` from the current folder or the Python path.

    Raises:
        ConfigError: if there is no such class; it names the closest ones, or why the import failed.
    """
    if name in METHODS:
        return named(f"{__name__}.{METHODS[name]}")
    if ":" not in name:
        raise ConfigError(f"Unknown method {name!r}. {near_misses(name, [*METHODS, *ALIASES])} Or MODULE:CLASS.")
    cls = of_ones_own(name, "method")
    if not (isinstance(cls, type) and issubclass(cls, Method)):
        raise ConfigError(f"method {name!r}: is no subclass of sakerepro.methods.Method.")
    if clash := sorted(cls.settings.keys() & _FIELDS.keys()):
        raise ConfigError(f"method {name!r}: its setting {clash[0]!r} has the name of a setting of all; rename it.")
    return cls


def of_ones_own(name: str, what: str) -> Any:
    """The object ``module:name``, from the current folder or the Python path.

    Args:
        what: the kind of object, such as ``"method"``, for the error.

    Raises:
        ConfigError: if it cannot be imported; it says why.
    """
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.append(here)
    try:
        return named(name)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"{what} {name!r}: {error}. Python has to find it here or on PYTHONPATH.") from error
    except Exception as error:  # raised by the module itself, or by a name that is no module path
        stem = name.partition(":")[0].rpartition(".")[2]
        lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).stem == stem]
        line = f" ({stem}.py, line {lines[-1]})" if lines else ""  # a SyntaxError names its line itself
        raise ConfigError(f"{what} {name!r}: {type(error).__name__}: {error}{line}.") from error


def preset(name: str, **changes: Any) -> Experiment:
    """The experiment that a preset stands for, with some settings changed.

    A preset may also set a method's own settings (``tables/presets.toml``).

    Args:
        name: ``"mini"``, ``"small"`` or ``"paper"``.
        changes: fields of :class:`~sakerepro.Experiment`, ``method`` (a name or an alias such as ``"L_B"``), and the
            method's own settings, by name.

    Raises:
        ConfigError: for an unknown preset, method or setting, or a value that a setting cannot have.
    """
    fields, settings = _split(changes, _FIELDS["method"])
    e = experiment.preset(name, **{**fields, "method": _FIELDS["method"]})  # a preset may set some of its settings
    defaults = dict(e.settings) if fields["method"] == e.method else {}
    defaults |= experiment.stand_ins(name).settings.get(fields["method"], {})
    return checked(e.but(method=fields["method"], settings={}), {**defaults, **settings})


def change(e: Experiment, **changes: Any) -> Experiment:
    """A copy of an experiment with some settings changed, checked like a new one; arguments as of :func:`preset`.

    With ``method``, the values that the earlier alias has set return to the preset's: ``change(L_B, method="SAKE")`` is
    SAKE.
    """
    aliased = resolved(label(e))[1] if "method" in changes else {}
    fields, settings = _split(changes, e.method)
    source = experiment.preset(e.preset) if aliased.keys() & _FIELDS.keys() else e
    fields = {k: getattr(source, k) for k in aliased if k in _FIELDS} | fields
    if fields["method"] == e.method:
        settings = {k: v for k, v in e.settings if k not in aliased} | settings
    return checked(e.but(**fields, settings={}), settings)


def checked(e: Experiment, own: Mapping[str, Any] | None = None) -> Experiment:
    """The experiment with the settings of its method checked and in canonical form.

    Args:
        e: its method may be an alias.
        own: settings of the method, in place of those of the experiment.

    Raises:
        ConfigError: for an unknown method or setting, or a value that a setting cannot have.
    """
    fields, settings = _split({}, e.method)
    settings |= dict(e.settings) if own is None else own
    e = e.but(**fields, settings={})
    cls = class_of(e.method)
    full = {name: s.default for name, s in cls.settings.items()}
    full |= {name: _setting(e.method, name).check(name, value) for name, value in settings.items()}
    effective = cls.canonical(full) if e.epochs or "features" in cls.needs else {}
    changed = {name: value for name, value in effective.items() if value != cls.settings[name].default}
    return e.but(method_version=cls.version, settings=changed)


def _split(changes: dict[str, Any], default: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Fields of Experiment, with the alias of the method (or of the default) resolved, and the method's settings."""
    method, aliased = resolved(changes.get("method", default))
    changes = {**aliased, **changes, "method": method}
    settings = {k: v for k, v in changes.items() if k not in _FIELDS}
    possible = class_of(method).settings
    for name in settings:
        if name not in possible:
            raise ConfigError(f"Unknown setting {name!r} of {method}. {near_misses(name, [*possible, *_FIELDS])}")
    settings |= dict(changes.pop("settings", ()))
    return {k: v for k, v in changes.items() if k in _FIELDS}, settings


def setting(e: Experiment, name: str) -> Any:
    """A field of an experiment or a setting of its method; the default if it was not given.

    Raises:
        ConfigError: if the method has no such setting.
    """
    if name in _FIELDS:
        return getattr(e, name)
    return dict(e.settings).get(name, _setting(e.method, name).default)


def _setting(method: str, name: str) -> Setting:
    settings = class_of(method).settings
    if name not in settings:
        raise ConfigError(f"{method} has no setting {name!r}. {near_misses(name, list(settings))}")
    return settings[name]


def flat(e: Experiment) -> dict[str, Any]:
    """Every field of an experiment and every setting of its method, by name."""
    fields = {name: getattr(e, name) for name in _FIELDS if name != "settings"}
    return fields | {name: setting(e, name) for name in class_of(e.method).settings}


def label(e: Experiment) -> str:
    """The name of a run in the paper's tables: pretrained, L_B, L_B + L_T, SAKE, or another method's name."""
    for name, (method, values) in ALIASES.items():
        if e.method == method and all(setting(e, k) == v for k, v in values.items()):
            return name
    return e.method.rpartition(":")[2]


def used(e: Experiment) -> str:
    """The sources of a run besides images and labels, such as ``"wordnet vectors, L_B features"``; may be empty."""
    values = flat(e)
    nouns = {"class_vectors": "vectors", "pairs": "pairs", "features": "features"}
    sources = [f"{values[name]} {noun}" for name, noun in nouns.items() if name in values]
    return ", ".join(["teacher", *sources] if class_of(e.method).uses_teacher(e) else sources)


def lacks(e: Experiment) -> str:
    """A sentence about data that the method needs and a known data set lacks; empty if it lacks none."""
    record = datasets().get(e.dataset)
    lacking = record and not record.aligned and flat(e).get("pairs") == "aligned"
    return f"{record.title} has no aligned pairs" if record and lacking else ""


def imitated(e: Experiment) -> Experiment:
    """The experiment whose teacher a run imitates: its own, or that of another network (:meth:`Method.imitates`)."""
    name = class_of(e.method).imitates(e)
    return e.but(backbone=name, weights="") if name else e


def baseline(e: Experiment) -> Experiment:
    """L_B with the same data, network and training: the baseline for all that preserves knowledge."""
    return change(e, method="L_B")
