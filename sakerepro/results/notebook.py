"""Execute a notebook of the paper with papermill: parameters checked first, the result renamed only when whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .. import paths
from ..errors import ConfigError, RunError, near_misses
from ..files import hidden, lock, sweep, write_whole
from .committed import item_file
from .paper import file_name


def source(item: str) -> Path:
    """The path of an item's notebook, which may be missing; a grid of one's own without a notebook has the skeleton."""
    path = paths.notebooks() / f"{file_name(item)}.ipynb"
    return path if path.is_file() or ":" not in item else path.with_name("skeleton.ipynb")


def notebook_path(name: str) -> Path:
    """The committed notebook of an item; a ConfigError names the closest ones if there is none."""
    path = source(name)
    if not path.is_file():
        names = sorted(p.stem for p in paths.notebooks().glob("*.ipynb"))
        raise ConfigError(f"There is no notebook {name!r}. {near_misses(name, names)}")
    return path


def check_parameters(path: Path, parameters: dict[str, Any]) -> None:
    """Refuse a parameter that the notebook does not have: papermill only warns."""
    import papermill

    names = list(papermill.inspect_notebook(str(path)))
    if unknown := [name for name in parameters if name not in names]:
        raise ConfigError(f"{path.name} has no parameter {unknown[0]!r}. {near_misses(unknown[0], names)}")


def execute(name: str, preset: str, **parameters: Any) -> Path:
    """Run ``notebooks/<name>.ipynb`` with parameters that it has, and return ``results/<preset>/<name>.ipynb``.

    A notebook that fails is kept in the cache folder and named in the RunError.
    """
    import papermill
    from jupyter_client.kernelspec import NoSuchKernel
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    path, target = notebook_path(name), item_file(name, preset, ".ipynb")
    parameters |= {"preset": preset, **({"item": name} if ":" in name else {})}
    # the kernel, another process, has to import this process's package, and draws no progress bars
    package, bars = paths.variable("PYTHONPATH", paths.search_path()), paths.variable("TQDM_DISABLE", "1")
    with lock(hidden(target, ".lock"), f"Another process executes {name}; waiting for it."), package, bars:
        sweep(target)
        with write_whole(target) as temporary:
            try:
                papermill.execute_notebook(
                    str(path),
                    str(temporary),
                    parameters,
                    kernel_name="python3",
                    progress_bar=False,
                    cwd=str(Path.cwd() if ":" in name else paths.notebooks()),
                    request_save_on_cell_execute=False,
                    coalesce_streams=True,  # else the kernel's timing decides how a printed text is cut
                    # else a kernel warns of plain TCP, and logs it as an error if it is busy at its end
                    extra_arguments=["--log-level=CRITICAL"],
                )
            except PapermillExecutionError as error:
                failed = paths.cache() / "failed" / target.name
                failed.parent.mkdir(parents=True, exist_ok=True)
                failed.write_bytes(temporary.read_bytes())
                raise RunError(
                    f"{name}: cell {error.exec_count} failed with {error.ename}: {error.evalue}\n"
                    f"  The notebook up to there: {paths.shown(failed)}. Earlier results and all runs are as they were."
                ) from error
            # what jupyter_client raises where a kernel ends, hangs or is no program is a plain RuntimeError or OSError
            except (DeadKernelError, NoSuchKernel, RuntimeError, FileNotFoundError, PermissionError) as error:
                raise RunError(
                    f"{name}: the notebook's kernel did not start or died ({type(error).__name__}: {error}). Too "
                    "little memory kills it; `jupyter kernelspec list` shows what is taken for `python3`, `python -m "
                    "ipykernel install --sys-prefix` brings this Python's own. Earlier results and all runs are as "
                    "they were."
                ) from error
            _strip(temporary)
    return target


def _strip(path: Path) -> None:
    """Drop meaningless differences between executions: times, paths, the kernel's version."""
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    notebook.metadata.pop("papermill", None)
    notebook.metadata.pop("widgets", None)  # their ids are random, and without a kernel they do nothing
    notebook.metadata.get("language_info", {}).pop("version", None)
    for number, cell in enumerate(notebook.cells):
        for key in ("papermill", "execution"):
            cell.metadata.pop(key, None)
        cell.id = f"cell-{number}"
        if cell.cell_type == "code":  # progress bars, on stderr, are of no use afterwards
            cell.outputs = [o for o in cell.outputs if o.get("name") != "stderr"]
            for output in cell.outputs:
                output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
    nbformat.write(notebook, path)
