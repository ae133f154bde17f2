"""Tables paper | ours | difference: made from rows as ``tables_spec.py`` says; text, Markdown, LaTeX and HTML."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape as html
from pathlib import Path
from typing import Any

import pandas as pd

from . import files
from .checking_text import table_lines
from .errors import ConfigError, near_misses
from .measured import Measured, measured
from .rows import LAMBDAS, OURS, paper_values, records
from .tables_spec import ALL, BACKBONES, DATASETS, TABLES, TableSpec
from .tables_text import escape, markdown

KEYS = ("dataset", "split", "task", "classes", "method", "backbone", *LAMBDAS, "representation", "metric")
NUMBERS = ("paper", "ours", "std", "n", "difference")


@dataclass(frozen=True)
class Table:
    """One table of the paper beside our numbers. Shows itself as text, in a notebook, and as the files of ``save``."""

    item: str
    spec: TableSpec
    cells: pd.DataFrame  # one line a cell: KEYS, NUMBERS, status ("measured", "paper only", "not run"), lost, ours_on
    label: tuple[str, ...]  # what the numbers are: preset and data, seeds and runs, stand-ins; on every rendering
    preset: str

    def blocks(self) -> dict[str, pd.DataFrame]:
        """The table as people read it, strings only: block title to a frame with one line a row of the table."""
        groups = self.cells.groupby(list(self.spec.blocks), sort=False)
        return {_title(self.spec.blocks, key, block): self._block(block) for key, block in groups}

    def _block(self, block: pd.DataFrame) -> pd.DataFrame:
        lines: dict[tuple[str, ...], dict[str, str]] = {}
        digits, star = self.spec.decimals, "" if self.preset in ("paper", "") else "*"
        columns: dict[str, None] = {}
        for metric, cells in block.groupby("metric", sort=False):
            ours_only = (cells["status"] == "measured").all() and cells["paper"].isna().all()
            kinds = ("ours",) if ours_only else ("paper", "ours", f"diff{star}")
            columns |= dict.fromkeys(f"{metric} {kind}" for kind in kinds)
        for cell in records(block):
            line = lines.setdefault(tuple(_shown(k, cell[k]) for k in self.spec.lines), {})
            line[f"{cell['metric']} paper"] = _number(cell["paper"], digits, "lost" if cell["lost"] else "-")
            line[f"{cell['metric']} ours"] = _spread(cell, digits)
            line[f"{cell['metric']} diff{star}"] = _number(cell["difference"], digits, "-", sign="+")
        index = pd.DataFrame(list(lines), columns=[_HEADS.get(k, k) for k in self.spec.lines])
        return pd.concat([index, pd.DataFrame(list(lines.values()))[list(columns)].fillna("-")], axis=1)

    def to_text(self) -> str:
        """Aligned columns for a terminal."""
        parts = [self.spec.title, *self.label]
        for title, block in self.blocks().items():
            metrics, kinds = zip(*(c.rsplit(" ", 1) if " " in c else ("", c) for c in block.columns), strict=True)
            parts += ["", title, *table_lines(metrics, [kinds, *block.to_numpy().tolist()], len(self.spec.lines))]
        return "\n".join(parts)

    def to_markdown(self) -> str:
        """GitHub's Markdown, a table per block."""
        parts = [f"### {self.spec.title}", "", *(f"> {escape(line)}  " for line in self.label)]
        for title, block in self.blocks().items():
            head = [escape(name) for name in block.columns]
            parts += ["", f"**{title}**", "", markdown(head, block.to_numpy().tolist())]
        return "\n".join(parts) + "\n"

    def to_latex(self) -> str:
        """A ``table`` environment with one booktabs ``tabular`` per block; needs ``\\usepackage{booktabs}``."""
        parts, left = [r"\begin{table}", r"\centering\small"], len(self.spec.lines)
        for title, block in self.blocks().items():
            columns = "l" * left + "r" * (block.shape[1] - left)
            text = block.style.hide(axis="index").format(_latex).format_index(_latex, axis=1)
            parts += [rf"\par\medskip\textbf{{{_latex(title)}}}\par",
                      text.to_latex(column_format=columns, hrules=True).strip()]  # fmt: skip
        caption = ". ".join(_latex(line) for line in (self.spec.title, *self.label))
        return "\n".join([*parts, rf"\caption{{{caption}}}", rf"\label{{tab:{self.item}}}", r"\end{table}", ""])

    def to_csv(self) -> str:
        """One line a cell with every digit; the label stands above as lines that start with ``#``."""
        label = "".join(f"# {line}\n" for line in (self.spec.title, *self.label))
        return label + self.cells.to_csv(index=False, lineterminator="\n")

    def to_html(self) -> str:
        """HTML that is the same on every machine: fixed ids, one table per block."""
        parts = [f"<h4>{html(self.spec.title)}</h4>", *(f"<p><em>{html(line)}</em></p>" for line in self.label)]
        for number, (title, block) in enumerate(self.blocks().items()):
            style = block.style.set_uuid(f"{self.item}-{number}").hide(axis="index").set_caption(html(title))
            parts.append(style.format(escape="html").to_html())
        return "\n".join(parts)

    def save(self, folder: Path) -> list[Path]:
        """Write ``<item>.csv``, ``.md`` and ``.tex`` into ``folder``; return their paths."""
        texts = {"csv": self.to_csv(), "md": self.to_markdown(), "tex": self.to_latex()}
        for suffix, text in texts.items():
            files.write_text(Path(folder) / f"{self.item}.{suffix}", text)
        return [Path(folder) / f"{self.item}.{suffix}" for suffix in texts]

    __str__ = to_text
    __repr__ = to_text
    _repr_html_ = to_html


def comparison(
    item: str, frame: pd.DataFrame, *, setting: Mapping[str, float] | None = None, convention: str = "standard"
) -> Table:
    """Set our numbers beside the paper's.

    Args:
        item: ``"table1"`` ... ``"table5"``, ``"splits"`` or ``"forgetting"``.
        frame: rows of one preset; rows of other items do no harm.
        setting: lambdas of the main runs, such as ``{"lambda_sake": 0.3}``; see :func:`~sakerepro.measured.measured`.
        convention: of the metrics.

    Raises:
        ConfigError: for an unknown item, mixed presets or ambiguous rows.
    """
    if item not in TABLES:
        raise ConfigError(f"There is no table {item!r}. {near_misses(item, tuple(TABLES))}")
    spec, paper = TABLES[item], paper_values(item)
    ask = measured(frame, paper, varies=spec.varies, setting=setting, convention=convention)
    theirs = [_cell(ask, spec, cell, paper=True) for cell in records(paper)]
    known = {_key(cell) for cell in theirs}
    extra = [_cell(ask, spec, cell) for cell in _extras(paper, ask, spec) if _key(cell) not in known]
    cells = pd.DataFrame([*theirs, *(c for c in extra if c["status"] == "measured")])
    used = ask.frame[ask.frame["run"].isin({run for runs in cells.pop("runs") for run in runs})]
    order = ["status", *KEYS, *NUMBERS, "lost", "ours_on"]
    other = ask.preset != "paper"
    more = ["diff*: ours minus the paper's, which are on other data: it is no error of either"] if other else []
    if convention == "standard" and paper["metric"].str.startswith("mAP").any():
        more += ["The paper's mAP is interpolated, higher on the same ranking: convention=\"sake\" shows ours so"]
    more += ["Ours: mean ± standard deviation over seeds (how many)"] if (cells["n"] > 1).any() else []
    label = ask.label(used, convention, *more)
    return Table(item, spec, cells[order].reset_index(drop=True), label, ask.preset)


def _cell(ask: Measured, spec: TableSpec, cell: dict[str, Any], paper: bool = False) -> dict[str, Any]:
    rows, query = ask.rows(cell, spec.varies), ask.translate(cell, spec.varies)
    value = cell["value"] if paper else math.nan
    n, mean = len(rows), rows["value"].mean() if len(rows) else math.nan
    return {
        **{k: cell[k] for k in KEYS}, "paper": value, "ours": mean, "std": rows["value"].std(), "n": n,
        "difference": mean - value, "lost": paper and math.isnan(value), "runs": tuple(rows["run"]),
        "ours_on": f"{query['dataset']}/{query['split']}",
        "status": "measured" if n else "not run" if cell["method"] in OURS else "paper only",
    }  # fmt: skip


def _key(cell: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(cell[k]) for k in KEYS)


def _extras(paper: pd.DataFrame, ask: Measured, spec: TableSpec) -> list[dict[str, Any]]:
    """The paper's own cells of methods that we train, with the columns of ``spec.extra`` exchanged."""
    cells = records(paper[paper["method"].isin(OURS)])
    stand_ins = set(ask.backbones.values())
    for name, values in spec.extra.items():
        if values is ALL:
            values = tuple(v for v in dict.fromkeys(ask.frame[name]) if v and v not in stand_ins)
        cells = [{**cell, name: value} for cell in cells for value in values]
    for cell in cells:  # lambdas belong to SAKE alone
        if cell["method"] in ("pretrained", "L_B"):
            cell.update(dict.fromkeys(LAMBDAS, math.nan), **({"lambda_sake": 0.0} if cell["method"] == "L_B" else {}))
    return list({_key(cell): cell for cell in cells}.values())


_HEADS = {"representation": "features", "lambda_sake": "lambda_SAKE"}


def _shown(column: str, value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return BACKBONES.get(value, value) if column == "backbone" else str(value)


def _title(columns: tuple[str, ...], key: tuple[Any, ...], block: pd.DataFrame) -> str:
    """The heading of a block; (dataset, split) together is one of the paper's data sets. Says what ours are from."""
    if columns == ("dataset", "split"):
        title = DATASETS[key[0], key[1]]
    else:
        title = " ".join(_shown(*pair) for pair in zip(columns, key, strict=True) if pair != ("classes", "all"))
    ours = block[block["ours_on"] != block["dataset"] + "/" + block["split"]]["ours_on"].unique()
    return f"{title} (ours: {', '.join(ours)})" if len(ours) else title


def _number(value: float, digits: int, missing: str, sign: str = "") -> str:
    return missing if math.isnan(value) else f"{value:{sign}.{digits}f}"


def _spread(cell: Mapping[str, Any], digits: int) -> str:
    if cell["n"] == 0:
        return str(cell["status"])
    spread = f" ± {cell['std']:.{digits}f} ({cell['n']})" if cell["n"] > 1 else ""
    return f"{cell['ours']:.{digits}f}{spread}"


_TEX = {c: "\\" + c for c in "&%$#_{}"} | {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$",
}  # fmt: skip


def _latex(text: object) -> str:
    return "".join(_TEX.get(c, c) for c in str(text))


def metric_cells(
    item: str, metric: str, frame: pd.DataFrame, setting: Mapping[str, float] | None, convention: str
) -> pd.DataFrame:
    """The cells of one of the paper's tables in one metric.

    Raises:
        ConfigError: if the table has no such metric.
    """
    cells = comparison(item, frame, setting=setting, convention=convention).cells
    if metric not in set(cells["metric"]):
        name = f"Table {item.removeprefix('table')}"
        raise ConfigError(f"{name} has no {metric!r}. {near_misses(metric, tuple(cells['metric'].unique()))}")
    return cells[cells["metric"] == metric]
