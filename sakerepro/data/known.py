"""Records of the data sets known by name: the package's ``known.toml``, and those in the user's data folders."""

from __future__ import annotations

import csv
import importlib
import io
import re
import tomllib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..errors import DataError, near_misses
from . import places

ClassRow = tuple[str, str, str, str]  # file and line, class, wnid, note


@dataclass(frozen=True)
class Source:
    """An archive on the web that holds a data set, or a part of it."""

    url: str
    take: str  # name of the folder to unpack, at any depth of the archive
    into: str = ""  # target of its files, relative to the data set's folder
    holds: str = ""  # description, for the question before the download


@dataclass(frozen=True)
class Known:
    """The record of a data set. Every field may be left out.

    The ``reader`` loads the data set. Without one, its folder is read in the official list format or as a plain folder
    (see :func:`sakerepro.load_dataset`).
    """

    name: str
    title: str = ""  # in tables and figures; by default the name
    folders: tuple[str, ...] = ()  # possible names of its folder; by default the name
    get: str = ""  # what to get if it is missing
    layout: str = ""  # description of its folder
    hint: str = ""  # another way to get it
    public: str = ""  # whether and how others can get the same images
    by_hand: str = ""  # the files to place by hand if no source works
    sources: tuple[Source, ...] = ()  # tried in this order
    reader: str = ""  # "module:function": called with (size, seed, progress=), returns the Dataset
    original_reader: str = ""  # the same for its own original domain, if a teacher is trained on it
    original_key: str = ""  # "module:function": side -> text that identifies the domain without reading it
    drawings_reader: str = ""  # the same, called with (): doodles of its classes as lines of Quick, Draw!
    original_wnids: str = ""  # "module:tuple": its classes, if they need no reading
    aligned: bool = False  # the name of a sketch tells the photo it was drawn from
    generated: bool = False  # drawn by the package: no evidence, and free to publish
    lists: Mapping[str, str] = field(default_factory=dict)  # "sketch", "photo" -> the lists' names up to _filelist
    splits: tuple[str, ...] = ()  # the first is the default
    same_splits: Mapping[str, str] = field(default_factory=dict)  # other name of a split -> its name in `published`
    published: Mapping[str, Mapping[str, int]] = field(default_factory=dict)  # split -> what -> classes or images
    batches: Mapping[str, int] = field(default_factory=dict)  # batch_sketch, batch_photo of the official code
    doubles: tuple[str, ...] = ()  # two folders with the same photos; `dedupe` drops those of the second
    classes: str = ""  # its class table: a CSV file (class,wnid,...) beside the record, or "module:mapping"
    original: tuple[str, ...] = ()  # original domains to measure forgetting on; the first one present is used
    per_class: int = 0  # at most so many training photos (original domain) or drawings of a class; 0: all
    file: Path = Path()  # the known.toml that holds the record

    def class_rows(self) -> list[ClassRow]:
        """The class table; empty if the record has none.

        Raises:
            DataError: if the table cannot be read.
        """
        if ":" in self.classes:
            return [(self.classes, name, wnid, "") for name, wnid in self.named("classes").items()]
        return read_classes(self.file.parent / self.classes) if self.classes else []

    def named(self, key: str) -> Any:
        """The object that a field of the form ``"module:name"`` names.

        Raises:
            DataError: if the module or the name is not there; it names the file, the record and the field.
        """
        text = getattr(self, key)
        try:
            return named(text)
        except (ImportError, AttributeError, ValueError) as error:
            raise DataError(
                f"{self.file}, record {self.name!r}: {key} = {text!r} cannot be imported ({error}). Write "
                "'module:name', and install the module or put its folder on PYTHONPATH."
            ) from error


def datasets() -> dict[str, Known]:
    """The tasks by name, as :func:`records`."""
    return records("datasets")


def shipped() -> dict[str, Known]:
    """The tasks that come with the package."""
    return _read(_SHIPPED, 0)["datasets"]


COUNTS = ("seen", "unseen", "train_sketch", "val_sketch", "query", "train_photo", "gallery")  # of a split
_KEYS = {"lists": ("sketch", "photo"), "batches": ("batch_sketch", "batch_photo"), "published": COUNTS}
_ITEMS = {"sources": dict, "published": dict, "batches": int}  # types in lists and tables; others hold strings
_SHIPPED = Path(__file__).with_name("known.toml")


def records(kind: str) -> dict[str, Known]:
    """The records of the package by name, then those of each ``known.toml`` in ``places.data_places()``.

    Args:
        kind: ``"datasets"`` (tasks), ``"originals"`` (original domains) or ``"drawings"`` (sketches without photos).

    Raises:
        DataError: if a record cannot be read, or a name is taken; it names the file and the record.
    """
    by_name = dict(_read(_SHIPPED, 0)[kind])
    for file in dict.fromkeys(place / "known.toml" for place in places.data_places()):
        for name, record in _read(file, file.stat().st_mtime_ns)[kind].items() if file.is_file() else ():
            if name in by_name:
                raise DataError(f"{file}: data set {name!r} is known already, from {by_name[name].file}. Rename it.")
            by_name[name] = record
    return by_name


@lru_cache
def _read(file: Path, changed: int) -> dict[str, dict[str, Known]]:
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DataError(f"{file}: cannot be read as TOML ({error}).") from error
    kinds = ("datasets", "originals", "drawings")
    if wrong := [k for k in content if k not in kinds]:
        raise DataError(
            f"{file}: [{wrong[0]}] is unknown. Records are [datasets.<name>], [originals.<name>] or [drawings.<name>]."
        )
    if wrong := [k for k, records in content.items() if not isinstance(records, dict)]:
        raise DataError(
            f"{file}: {wrong[0]} = {content[wrong[0]]!r} has to be a table of records, [{wrong[0]}.<name>]."
        )
    return {k: {name: _known(file, k, name, values) for name, values in content.get(k, {}).items()} for k in kinds}


def _known(file: Path, kind: str, name: str, values: Any) -> Known:
    place = f"{file}, record {name!r}"
    if not isinstance(values, dict):
        raise DataError(f"{place}: is {values!r} and has to be a table, [{kind}.{name}].")
    given = values.get("sources", [])
    if not (isinstance(given, list) and all(isinstance(s, dict) for s in given)):
        raise DataError(f"{place}: sources = {given!r} has to be a list of tables, [[{kind}.{name}.sources]].")
    sources = tuple(_checked(Source("", ""), s, f"{place}, sources") for s in given)
    folders = () if values.get("reader") else (name,)
    record = _checked(Known(name, title=name, folders=folders, file=file), values, place)
    for key, want in _KEYS.items():
        for part in getattr(record, key).values() if key == "published" else filter(None, [getattr(record, key)]):
            if set(part) != set(want):
                raise DataError(f"{place}: {key} needs {', '.join(want)}, and has {', '.join(part)}.")
            if key == "published":
                _check_items(part, int, f"{place}: {key}")
    if not (record.folders or record.reader):
        raise DataError(f"{place}: folders = [] names no folder. Name one, or leave the field out.")
    if len(record.doubles) not in (0, 2):
        raise DataError(f"{place}: doubles = {list(record.doubles)} has to be two folders.")
    return replace(record, sources=sources)


def _checked(record: Any, values: Mapping[str, Any], place: str) -> Any:
    """The record with these values, each of the type of its field."""
    for key, value in values.items():
        if key not in vars(record) or key in ("name", "file"):
            raise DataError(f"{place}: field {key!r} is unknown. {near_misses(key, list(vars(record)))}")
        value = tuple(value) if isinstance(value, list) else value
        if type(value) is not type(getattr(record, key)):  # true is no number
            want = type(getattr(record, key)).__name__.replace("tuple", "list").replace("dict", "table")
            raise DataError(f"{place}: {key} = {value!r} has to be of type {want}.")
        if isinstance(value, tuple | dict):
            _check_items(value, _ITEMS.get(key, str), f"{place}: {key}")
        record = replace(record, **{key: value})
    return record


def _check_items(items: Sequence[Any] | Mapping[str, Any], kind: type, place: str) -> None:
    for item in items.values() if isinstance(items, Mapping) else items:
        if type(item) is not kind:
            name = {str: "strings", int: "whole numbers", dict: "tables"}[kind]
            raise DataError(f"{place} holds {item!r}, and has to hold {name} only.")


def named(text: str) -> Any:
    """The object that ``"module:name"`` names."""
    module, _, name = text.partition(":")
    return getattr(importlib.import_module(module), name)


def class_key(name: str) -> str:
    """A class name in the form for comparisons: letter case, underscores, hyphens and spaces do not matter."""
    return " ".join(re.split(r"[\s_\-]+", unicodedata.normalize("NFC", name).strip().casefold()))


def read_classes(path: Path) -> list[ClassRow]:
    """The lines of a class table, a CSV file with the columns class,wnid and perhaps note.

    Raises:
        DataError: if it is not there, or is not such a file.
    """
    if not path.is_file():
        raise DataError(f"{path}: is not there. It should be a CSV file with the columns class,wnid.")
    try:
        reader = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig")))
        if not {"class", "wnid"} <= set(reader.fieldnames or ()):
            raise DataError(f"{path}, line 1: the columns are {reader.fieldnames}; class,wnid are needed.")
        rows = []
        for row in reader:
            name, wnid = ((row[column] or "").strip() for column in ("class", "wnid"))
            rows.append((f"{path}, line {reader.line_num}", name, wnid, row.get("note") or ""))
        return rows
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as UTF-8 ({error}). Save it as a CSV file in UTF-8.") from error
