"""Write ``docs/api.md`` from the docstrings and ``docs/commands.md`` from the command line's parser: ``make docs``."""

from __future__ import annotations

import argparse
import ast
import dataclasses
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import sakerepro
from sakerepro.__main__ import EXIT_CODES, parser
from sakerepro.experiment import Experiment
from sakerepro.files import write_text

HERE = Path(__file__).resolve().parent
NOTE = "<!-- written by docs/build.py: change the {}, then `make docs` -->"
SECTIONS = ("Args", "Returns", "Raises", "Attributes")
THEMES = {  # what a module is for, in the order of the page
    "data": "Data",
    "semantics": "WordNet similarity",
    "networks.backbones": "Networks",
    "model": "The student",
    "losses": "Losses",
    "teachers": "The teacher",
    "embedding": "Embeddings",
    "hashing": "Binary codes",
    "retrieval": "Search",
    "metrics": "Metrics",
    "evaluation": "Evaluation",
    "experiment": "Settings",
    "methods": "Methods",
    "runs": "Runs",
    "results.tuning": "Choice of settings",
    "results.items": "Tables and figures of the paper",
    "results.measures": "What an item measures itself",
    "apps.check": "Checks",
    "world.example": "Example data",
    "apps.photos": "Collections of photos",
    "provenance": "Origin",
    "errors": "Errors",
}
_STUB = ast.parse(Path(sakerepro.__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
_IMPORTS = {n.module: [a.name for a in n.names] for n in _STUB.body if isinstance(n, ast.ImportFrom)}
ROOMS = [*_IMPORTS.pop(None), *_IMPORTS.pop("apps")]  # modules that are used as sr.plots.curve(...)
PUBLIC = {module: _IMPORTS.pop(module) for module in THEMES}
assert not _IMPORTS, f"THEMES lacks {', '.join(map(str, _IMPORTS))}"


def api() -> str:
    """The reference of ``sakerepro.__all__`` as Markdown."""
    lines = [NOTE.format("docstrings"), "# Python: `import sakerepro as sr`", "", _intro(), "", *_contents(), ""]
    for module, names in PUBLIC.items():
        lines += [f"## {THEMES[module]}", ""]
        for name in names:
            lines += _entry(f"sr.{name}", getattr(sakerepro, name))
    for name in ROOMS:
        room = getattr(sakerepro, name)
        lines += [f"## `sr.{name}`", "", _markdown(inspect.getdoc(room) or ""), ""]
        for inner, value in _public(room):
            lines += _entry(f"sr.{name}.{inner}", value)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip() + "\n"


def _intro() -> str:
    return (
        "Shapes are in brackets: N images, Q queries, G photos of the gallery, C classes. Images are `uint8` until a\n"
        "network reads them; the domain is 0 for a photo and 1 for a sketch. Every error is a `SakeError` that says\n"
        "what is wrong, where, and what to do. The command line is in [commands.md](commands.md)."
    )


def _contents() -> list[str]:
    """A line a theme with its names."""
    themes = [(THEMES[m], [f"`{n}`" for n in names]) for m, names in PUBLIC.items()]
    rooms = [(f"`sr.{room}`", [f"`{n}`" for n, _ in _public(getattr(sakerepro, room))]) for room in ROOMS]
    return [
        f"- [{title}](#{re.sub(r'[^a-z -]', '', title.lower()).replace(' ', '-')}): {', '.join(names)}"
        for title, names in (*themes, *rooms)
    ]


def _public(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """What a module offers: its ``__all__``, or the functions and classes that are written in it."""
    own = [n for n, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
    for name in sorted(getattr(module, "__all__", own)):
        if not name.startswith("_") and callable(getattr(module, name)):
            yield name, getattr(module, name)


def _entry(name: str, value: Any) -> list[str]:
    """Heading, signature, docstring; of a class also its fields and methods."""
    error = inspect.isclass(value) and issubclass(value, Exception)
    lines = [f"### `{name}`", ""]
    if not error:
        lines += ["```python", *_signature(name, value), "```", ""]
    else:
        lines += [f"Is a kind of {' and of '.join(f'`{base.__name__}`' for base in value.__bases__)}.", ""]
    lines += [_markdown(inspect.getdoc(value) or ""), ""]
    if inspect.isclass(value) and not error:
        lines += [*_fields(value), *_methods(value)]
    return lines


def _signature(name: str, value: Any) -> list[str]:
    """``name(a: int, *, b: str = "x") -> bool``; one parameter a line where it gets long."""
    if value is Experiment:
        return [f"{name}(**settings)"]
    if dataclasses.is_dataclass(value) or (inspect.isclass(value) and "__init__" not in vars(value)):
        return [f"class {name}"]  # the fields follow
    signature = inspect.signature(value)
    every, star = [], False
    for p in signature.parameters.values():
        if p.kind is p.KEYWORD_ONLY and not star:
            every, star = [*every, "*"], True
        mark = {p.VAR_POSITIONAL: "*", p.VAR_KEYWORD: "**"}.get(p.kind, "")
        star = star or p.kind is p.VAR_POSITIONAL
        kind = "" if p.annotation is p.empty else f": {_type(p.annotation)}"
        every.append(f"{mark}{p.name}{kind}{'' if p.default is p.empty else f' = {p.default!r}'}")
    result = (
        ""
        if signature.return_annotation is signature.empty or inspect.isclass(value)
        else f" -> {_type(signature.return_annotation)}"
    )
    line = f"{name}({', '.join(every)}){result}"
    return [line] if len(line) <= 110 else [f"{name}(", *(f"    {part}," for part in every), f"){result}"]


def _type(annotation: Any) -> str:
    return annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))


def _fields(kind: type) -> list[str]:
    """A dataclass's fields with the comment that stands beside each in the source."""
    if kind is Experiment:
        rows = [f"| `{f.name}` | `{f.default!r}` | {f.metadata['help']} |" for f in dataclasses.fields(kind)]
        return ["| setting | default | |", "| --- | --- | --- |", *rows, ""]
    if not dataclasses.is_dataclass(kind):
        return []
    source = inspect.getsource(kind)
    comments = dict(re.findall(r"^    (\w+): [^#\n]*?  # (.*)$", source, re.MULTILINE))
    kinds = {f.name: _type(f.type) for f in dataclasses.fields(kind) if not f.name.startswith("_")}
    return [*(f"- `{n}: {t}`{f': {comments[n]}' if n in comments else ''}" for n, t in kinds.items()), ""]


def _methods(kind: type) -> list[str]:
    """Public methods and properties that are written in the class itself, in the order of the source."""
    lines = []
    for name, member in vars(kind).items():
        inner = getattr(member, "__func__", member.fget if isinstance(member, property) else member)
        if name.startswith("_") or not inspect.isfunction(inner) or not inspect.getdoc(inner):
            continue
        text = _signature(f".{name}", getattr(kind, name)) if not isinstance(member, property) else [f".{name}"]
        line = " ".join(part.strip() for part in text).replace("( ", "(").replace(", )", ")")
        shown = re.sub(r"\(self,? ?", "(", line)
        lines += [f"- **`{shown}`**", "", textwrap.indent(_markdown(inspect.getdoc(inner) or ""), "  "), ""]
    return lines


def _markdown(doc: str) -> str:
    """A docstring (Google sections, a little reStructuredText) as Markdown."""
    found: list[str] = []
    for block in re.split(r"\n\n(?=\S)", doc):
        if block.startswith("===="):  # a table: its columns stay aligned
            found += ["```text\n" + re.sub(r"``(.*?)``", r"\1    ", block) + "\n```"]
            continue
        block = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", block.replace("``", "`"))
        head, _, body = block.partition("\n")
        if head.rstrip(":") in SECTIONS and head.endswith(":"):
            found += [f"*{head[:-1]}*", _items(textwrap.dedent(body))]
        else:
            found += [block]
    return "\n\n".join(found)


def _items(body: str) -> str:
    """``name: text`` lines as a list; prose stays prose."""
    entries = re.split(r"\n(?=\S)", body)
    named = re.compile(r"^([A-Za-z_][\w, ]*): (.*)$", re.DOTALL)
    if not all(named.match(entry) for entry in entries):
        return body
    lines = []
    for entry in entries:
        name, text = named.match(entry).groups()  # type: ignore[union-attr]
        lines.append(f"- `{name}`: " + " ".join(part.strip() for part in text.splitlines()))
    return "\n".join(lines)


def commands() -> str:
    """The reference of the command line as Markdown, from the parser itself."""
    lines = [
        NOTE.format("parser"),
        "# The command line: `sakerepro`",
        "",
        "The same as `python -m sakerepro`. `sakerepro COMMAND --help` says all this in a terminal.",
        "",
        "```text",
        EXIT_CODES,
        "```",
        "",
    ]
    tree = command_tree(parser())
    for path, inner in tree.items():
        if not inner_parsers(inner):
            lines += _command(" ".join(path), inner, inner_helps(tree[path[:-1]])[path[-1]])
    return "\n".join(lines).rstrip() + "\n"


Tree = dict[tuple[str, ...], argparse.ArgumentParser]  # ("data", "fetch") -> its parser


def command_tree(p: argparse.ArgumentParser, path: tuple[str, ...] = ()) -> Tree:
    """Every command with its parser, the whole command line under ``()`` first."""
    tree = {path: p}
    for name, inner in inner_parsers(p).items():
        tree |= command_tree(inner, (*path, name))
    return tree


def inner_parsers(p: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The sub-commands of a parser by name."""
    return {name: inner for s in _sub_commands(p) for name, inner in s.choices.items()}


def inner_helps(p: argparse.ArgumentParser) -> dict[str, str]:
    """The short help of each sub-command of a parser."""
    return {a.dest: a.help or "" for s in _sub_commands(p) for a in s._choices_actions}


def _sub_commands(p: argparse.ArgumentParser) -> list[Any]:
    return [a for a in p._actions if isinstance(a, argparse._SubParsersAction)]


def _command(name: str, p: argparse.ArgumentParser, help: str) -> list[str]:
    text = (p.description or f"{help[:1].upper()}{help[1:]}.").replace("%%", "%")
    rows = [
        f"| {_usage(a)} | {(a.help or '').replace('%%', '%').replace('|', chr(92) + '|')} |"
        for a in p._actions
        if a.dest != "help"
    ]
    return [f"## `{name}`", "", text, "", *(["| argument | |", "| --- | --- |", *rows, ""] if rows else [])]


def _usage(action: argparse.Action) -> str:
    choices = "{" + ",".join(map(str, action.choices)) + "}" if action.choices else ""
    value = action.metavar or choices or action.dest.upper()
    if not action.option_strings:
        return f"`{value if isinstance(value, str) else value[0]}{' ...' if action.nargs == '+' else ''}`"
    return f"`{', '.join(action.option_strings)}{'' if action.nargs == 0 else f' {value}'}`"


def missing(name: str, value: Any) -> list[str]:
    """What the docstring of a public function does not speak of: parameters by name, the shape of an array."""
    doc = inspect.getdoc(value) or ""
    if not doc:
        return [f"{name}: no docstring"]
    if not inspect.isfunction(value):
        return []
    words = set(re.findall(r"\w+", doc))
    gaps = [f"{name}: says nothing of {p}" for p in inspect.signature(value).parameters if p not in words]
    result = _type(inspect.signature(value).return_annotation)
    if ("ndarray" in result or result == "Tensor") and not re.search(r"\([\w, ]+,[\w /]*\)|[Ss]calar", doc):
        gaps.append(f"{name}: no shape for what it returns")
    raises = {
        node.exc.func.id
        for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(value))))
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and isinstance(node.exc.func, ast.Name)
    }
    return gaps + [f"{name}: does not name {error}" for error in sorted(raises) if error not in words]


def all_public() -> Iterator[tuple[str, Any]]:
    """Every public name of the reference with what it is."""
    for name in (name for names in PUBLIC.values() for name in names):
        yield name, getattr(sakerepro, name)
    for room in ROOMS:
        yield from ((f"{room}.{name}", value) for name, value in _public(getattr(sakerepro, room)))


PAGES: dict[str, Callable[[], str]] = {"api.md": api, "commands.md": commands}


def main() -> None:
    """Write both pages; list what docstrings leave out."""
    for name, page in PAGES.items():
        write_text(HERE / name, page())
        print(f"docs/{name}")
    for gap in (gap for name, value in all_public() for gap in missing(name, value)):
        print(f"gap: {gap}")


if __name__ == "__main__":
    main()
