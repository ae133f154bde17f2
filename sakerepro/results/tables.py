"""Tables paper | ours | difference, from rows and the item's grids; as text, Markdown, LaTeX, HTML and CSV."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from html import escape as html
from typing import Any, NamedTuple

import pandas as pd

from .. import methods
from ..display import table_lines
from ..errors import ConfigError, near_misses
from ..experiment import PRESETS, Experiment, stand_ins
from .grids import (
    KEY,
    MEASURING,
    NETWORKS,
    OTHER_SYSTEMS,
    WORDS,
    Grid,
    Point,
    experiment_of,
    identity,
    key,
    ours_on,
    papers,
    run_axes,
    shown,
)
from .paper import DATA_NAMES, GRIDS, OUR_TABLES, QUOTED, file_name, grids_of, printed
from .rows import TYPES, one_preset, records
from .tables_text import MARKUP, Saved, csv, escape, markdown

NUMBERS = ("paper", "ours", "std", "n", "difference")


class Number(NamedTuple):
    """The number of one run for a cell."""

    value: float
    experiment: Experiment
    representation: str  # "64-bit", or the dimension of the run's embedding, such as "52-d"


class Measured:
    """The rows of one preset by the points of a grid: a row belongs to a cell if it is of the cell's run.

    Args:
        convention: of the metrics, for grids that name none.
        other: convention that is looked up next; the default is that of numbers without one.

    Raises:
        ConfigError: for mixed presets, precisions or devices, or two values for one cell.
    """

    def __init__(self, frame: pd.DataFrame, convention: str = "standard", other: str = "") -> None:
        self.convention, self.other, self.preset = convention, other, one_preset(frame)
        texts = [name for name, kind in TYPES.items() if kind is str and name in frame]  # NaN where pd.read_csv read ""
        frame = frame.assign(**{k: frame[k].astype(object).where(frame[k].notna(), "") for k in texts})
        self.seeds = sorted(frame["seed"].unique().tolist())
        default = PRESETS.get(self.preset, {}).get("precision", Experiment.precision)
        in_settings = frame["settings"].str.extract(r"precision=(\w+)", expand=False).fillna(default)
        precisions = sorted(set(in_settings)) or [default]
        if len(precisions) > 1:
            raise ConfigError(f"Rows computed in {' and '.join(precisions)} are mixed. Select one of them.")
        devices = sorted(frame["device"].fillna("cpu").unique()) if "device" in frame else []  # of `make gpu`
        if len(devices) > 1:
            raise ConfigError(
                f"Rows made on {' and '.join(devices)} are mixed. Select one: frame[frame['device'] == {devices[0]!r}]."
            )
        self._values: dict[tuple[str, ...], tuple[float, str]] = {}
        columns = ["run", "task", "classes", "metric", "variant", "convention", "representation", "value"]
        for *cell, features, value in frame[columns].itertuples(index=False):
            if self._values.setdefault((*cell, _kind(features)), (value, features)) != (value, features):
                raise ConfigError(f"{cell[0]} has two values for {cell[3]}, {cell[1]}, {features}. Remove one of them.")
        # many cells share an experiment
        self._experiment = cache(lambda run, seed: experiment_of(dict(run), self.preset, seed, str(precisions[0])))

    def numbers(self, point: Point) -> list[Number]:
        """The numbers of a point, one a seed."""
        cell = (point["task"], point["classes"], point["metric"], point["variant"])
        conventions, kind = (point["convention"] or self.convention, self.other), _kind(point["representation"])
        numbers = []
        for e in filter(None, (self._experiment(run_axes(point), seed) for seed in self.seeds)):
            values = (self._values.get((e.id, *cell, convention, kind)) for convention in conventions)
            if first := next(filter(None, values), None):
                numbers.append(Number(first[0], e, first[1]))
        return numbers

    def label(self, cells: Iterable[tuple[Point, Point, list[Number]]], *more: str) -> tuple[str, ...]:
        """Lines with the preset, the seeds and runs of the numbers, and the stand-ins for data and networks.

        Args:
            cells: points with their key and numbers.
            more: lines below the first.
        """
        if not self.preset:
            return ("No runs: the paper's numbers alone",)
        by_run: dict[str, Number] = {}
        notes: dict[str, None] = {}
        for point, words, numbers in cells:
            by_run |= {n.experiment.id: n for n in numbers}
            notes |= dict.fromkeys(note for n in numbers for note in _notes(point, words, n.experiment))
        label = [f"Preset {self.preset}: {stand_ins(self.preset).says}", *more]
        if by_run:
            seeds = ", ".join(map(str, sorted({number.experiment.seed for number in by_run.values()})))
            shown = ", ".join([*by_run][:4]) + (f" and {len(by_run) - 4} more" if len(by_run) > 4 else "")
            label.append(f"Seeds {seeds}; runs {shown}; metrics: {self.convention} convention")
        return (*label, f"In place of the paper's: {'; '.join(notes)}") if notes else tuple(label)


def _kind(representation: str | None) -> str:
    """``"real"`` for embeddings of any dimension and for an empty representation; codes as they are."""
    return "real" if representation is None or representation.endswith("-d") else representation


def _notes(point: Point, words: Point, e: Experiment) -> Iterator[str]:
    """The stand-ins of a cell: data, network, settings of the method that the grid does not vary."""
    paper_data, our_data = f"{words['dataset']}/{words['split']}", ours_on(e)
    if paper_data != our_data:
        yield f"{our_data} for {DATA_NAMES.get(paper_data, paper_data)}"
    if point.get("teacher") in NETWORKS and (other := methods.imitated(e)) != e:
        yield f"{other.backbone} as {NETWORKS[point['teacher']]}"
    if words["backbone"] not in (e.backbone, ""):
        yield f"{e.backbone} for {NETWORKS.get(words['backbone'], words['backbone'])}"
    paper = papers(point)
    for name in dict.fromkeys(k for x in (e, paper) if x for k, _ in x.settings):
        if paper and name not in point and methods.setting(e, name) != methods.setting(paper, name):
            yield f"{name} = {methods.setting(e, name)} (paper: {methods.setting(paper, name)})"


@dataclass(frozen=True, repr=False)
class Table(Saved):
    """One table of the paper beside our numbers: as text, in a notebook, and as the files of ``save``."""

    item: str
    title: str
    #: one line a cell with its key, NUMBERS, status ("measured", "paper only", "not run", or what the data lack),
    #: quoted, ours_on, ours_used
    cells: pd.DataFrame
    label: tuple[str, ...]  #: preset and data, seeds and runs, stand-ins; a part of every rendering
    blocks_by: tuple[str, ...]  #: columns with a block for each value
    lines_by: tuple[str, ...]  #: columns that distinguish the lines of a block
    star: str  #: follows "diff" if the paper's numbers are of other data

    def blocks(self) -> dict[str, pd.DataFrame]:
        """The shown table as strings: a frame for each block title, with one line a row of the table."""
        groups = self.cells.groupby(list(self.blocks_by), sort=False)
        return {self._title(block): self._block(block) for _, block in groups}

    def _block(self, block: pd.DataFrame) -> pd.DataFrame:
        digits, diff = 4 if "top-1" in set(block["metric"]) else 3, f"diff{self.star}"
        columns: dict[str, None] = {}
        for metric, cells in block.groupby("metric", sort=False):
            ours_only = cells["paper"].isna().all()
            columns |= {f"{metric} {kind}": None for kind in (["ours"] if ours_only else ["paper", "ours", diff])}
        lines: dict[tuple[str, ...], dict[str, str]] = {}
        for cell in records(block):
            line = lines.setdefault(tuple(_plain(k, cell[k]) for k in self.lines_by), {})
            line[f"{cell['metric']} paper"] = _number(cell["paper"], digits, "-") + " (quoted)" * cell["quoted"]
            spread = f" ± {cell['std']:.{digits}f} ({cell['n']})" if cell["n"] > 1 else ""
            line[f"{cell['metric']} ours"] = _number(cell["ours"], digits, cell["status"]) + spread
            line[f"{cell['metric']} {diff}"] = _number(cell["difference"], digits, "-", sign="+")
        index = pd.DataFrame(list(lines), columns=[_HEADS.get(k, k) for k in self.lines_by])
        return pd.concat([index, pd.DataFrame(list(lines.values()))[list(columns)].fillna("-")], axis=1)

    def _title(self, block: pd.DataFrame) -> str:
        """The heading of a block; it names our data if they are not the paper's."""
        first = block.iloc[0]
        paper_data = f"{first['dataset']}/{first['split']}"
        names = [DATA_NAMES.get(paper_data, paper_data)] if "dataset" in self.blocks_by else []
        names += [first[k] for k in self.blocks_by if k in ("task", "classes") and first[k] != "all"]
        our_data = [data for data in block["ours_on"].unique() if data not in (paper_data, "")]
        return f"{' '.join(names)} (ours: {', '.join(our_data)})" if our_data else " ".join(names)

    def __repr__(self) -> str:
        """Aligned columns for a terminal."""
        parts = [self.title, *self.label]
        for title, block in self.blocks().items():
            metrics, kinds = zip(*(c.rsplit(" ", 1) if " " in c else ("", c) for c in block.columns), strict=True)
            parts += ["", title, *table_lines(metrics, [kinds, *block.to_numpy().tolist()], len(self.lines_by))]
        return "\n".join(parts)

    def to_markdown(self) -> str:
        """GitHub's Markdown, a table per block."""
        parts = [f"### {self.title}", "", *(f"> {escape(line)}  " for line in self.label)]
        for title, block in self.blocks().items():
            head = [escape(name) for name in block.columns]
            parts += ["", f"**{title}**", "", markdown(head, block.to_numpy().tolist(), MARKUP)]
        return "\n".join(parts) + "\n"

    def to_latex(self) -> str:
        """A ``table`` environment with one booktabs ``tabular`` per block; needs ``\\usepackage{booktabs}``."""
        parts, index_columns = [r"\begin{table}", r"\centering\small"], len(self.lines_by)
        for title, block in self.blocks().items():
            columns = "l" * index_columns + "r" * (block.shape[1] - index_columns)
            text = block.style.hide(axis="index").format(_latex).format_index(_latex, axis=1)
            parts += [rf"\par\medskip\textbf{{{_latex(title)}}}\par"]
            parts += [text.to_latex(column_format=columns, hrules=True).strip()]
        caption = ". ".join(_latex(line) for line in (self.title, *self.label))
        parts += [rf"\caption{{{caption}}}", rf"\label{{tab:{file_name(self.item)}}}", r"\end{table}", ""]
        return "\n".join(parts)

    def _repr_html_(self) -> str:
        """For a notebook, the same on every machine: fixed ids, one table per block."""
        parts = [f"<h4>{html(self.title)}</h4>", *(f"<p><em>{html(line)}</em></p>" for line in self.label)]
        for number, (title, block) in enumerate(self.blocks().items()):
            style = block.style.set_uuid(f"{file_name(self.item)}-{number}").hide(axis="index").set_caption(html(title))
            parts.append(style.format(escape="html").to_html())
        return "\n".join(parts)

    def texts(self) -> dict[str, str]:
        """The content of ``<item>.csv``, ``.md`` and ``.tex``."""
        return {"csv": csv((self.title, *self.label), self.cells), "md": self.to_markdown(), "tex": self.to_latex()}


def comparison(item: str, frame: pd.DataFrame, *, convention: str = "standard") -> Table:
    """Put our numbers, rows of one preset, beside the paper's; rows of other items are ignored.

    Args:
        item: such as ``"table1"``, or ``module:NAME`` of a grid of one's own.

    Raises:
        ConfigError: for an unknown item, mixed presets, or two values for one cell.
    """
    grids, paper, measured = grids_of(item), printed(item), Measured(frame, convention)
    if not has_table(item):
        raise ConfigError(f"There is no table {item!r}. {near_misses(item, (*paper_tables(), *OUR_TABLES))}")
    points = {identity(p): (p, g) for g in grids for p in g.points() if p["metric"]}
    order = points if paper.keys() <= points.keys() else {k: (p, grids[0]) for k, (p, _, _) in paper.items()} | points
    cells, points_with_numbers = [], []
    for name, (point, grid) in order.items():
        numbers, words = measured.numbers(point), key(point, grid)
        e = experiment_of(point, measured.preset, 0, lacking=True) if measured.preset and not numbers else None
        lacks = methods.lacks(e) if e else ""
        if name in paper or numbers or lacks or not paper:
            _, value, source = paper.get(name, (point, math.nan, ""))
            cells.append(_cell(words, value, numbers, source.startswith(QUOTED), lacks))
        points_with_numbers.append((point, words, numbers))
    settings = dict.fromkeys(k for g in grids for k in g.settings)
    table = pd.DataFrame(cells)[["status", *KEY[:6], *settings, *KEY[6:], *NUMBERS, "quoted", "ours_on", "ours_used"]]
    other = bool(paper) and not stand_ins(measured.preset).papers and measured.preset != ""
    more = ["diff*: ours minus the paper's, which are on other data: it is no error of either"] if other else []
    if convention == "standard" and any(k[-1].startswith("mAP") for k in paper):
        more += ['The paper\'s mAP is interpolated, higher on the same ranking: convention="sake" shows ours so']
    if ":" in item:  # the reader does not know the settings of this grid
        not_settings = {*grids[0].varies, *WORDS, *MEASURING, "metric"}
        fixed = [f"{name}={values[0]}" for name, values in grids[0].axes.items() if name not in not_settings]
        more += [f"In all runs: {', '.join(fixed)}"] if fixed else []
    more += ["quoted: by a later repository; our text of the paper lost it"] if table["quoted"].any() else []
    more += ["Ours: mean ± standard deviation over seeds (how many)"] if (table["n"] > 1).any() else []
    blocks, lines = _layout(grids, tuple(settings))
    if (table["method"].isin(OTHER_SYSTEMS) & table["n"].gt(0)).any():
        lines += ("ours_used",)
    label = measured.label(points_with_numbers, *more)
    return Table(item, grids[0].title, table, label, blocks, lines, "*" if other else "")


def _short(item: str) -> Callable[..., Table]:
    table = partial(comparison, item)
    table.__doc__ = f'Short for ``comparison("{item}", frame)``, see :func:`comparison`.'
    return table


table1, table2, table3, table4, table5 = (_short(f"table{number}") for number in range(1, 6))
systems, splits, forgetting = _short("systems"), _short("splits"), _short("forgetting")


def paper_tables() -> tuple[str, ...]:
    """The items for which the paper has numbers."""
    return tuple(item for item in GRIDS if printed(item))


def has_table(item: str) -> bool:
    """Whether an item is a table: of the paper, of ``OUR_TABLES``, or a grid of one's own."""
    return item in (*paper_tables(), *OUR_TABLES) or ":" in item


def _cell(words: Point, value: float, numbers: list[Number], quoted: bool, lacks: str) -> dict[str, Any]:
    ours = pd.Series([number.value for number in numbers], dtype=float)
    first = numbers[0] if numbers else None
    paper_only = words["method"] in OTHER_SYSTEMS and not math.isnan(value)
    return {
        **words,
        "paper": value,
        "ours": ours.mean(),
        "std": ours.std(),
        "n": len(ours),
        "difference": ours.mean() - value,
        "quoted": quoted,
        "ours_on": ours_on(first.experiment) if first else "",
        "ours_used": _used(first) if first else "",
        "status": "measured" if first else lacks or ("paper only" if paper_only else "not run"),
    }


def _used(number: Number) -> str:
    """The dimension of the embedding behind a number, and the inputs of its method."""
    length = number.representation if number.representation.endswith("-d") else ""
    return ", ".join(filter(None, (length, methods.used(number.experiment)))) or "-"


def _layout(grids: tuple[Grid, ...], settings: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The columns that define blocks (data, task, classes), and those that define lines (other axes that vary)."""
    varies = {k for g in grids for k in g.axes if len({v for g in grids for v in g.axes.get(k, ())}) > 1}
    blocks: list[str] = [k for k in ("task", "classes") if k in varies]
    lines = [k for k in ("backbone", "method", *settings, "representation") if k in varies]
    if varies & {"data", "dataset", "split"} or not blocks:
        blocks = ["dataset", "split"]
    return tuple(blocks), tuple(lines or ["method"])


_HEADS = {"representation": "features", "lambda_sake": "lambda_SAKE", "ours_used": "ours used"}


def _plain(column: str, value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return shown(column, value) if isinstance(value, str) else str(value)


def _number(value: float, digits: int, missing: str, sign: str = "") -> str:
    return missing if math.isnan(value) else f"{value:{sign}.{digits}f}"


_TEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$"}
_TEX |= {c: "\\" + c for c in "&%$#_{}"}


def _latex(text: object) -> str:
    return "".join(_TEX.get(c, c) for c in str(text))
