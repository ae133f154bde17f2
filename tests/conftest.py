"""What all tests share: folders of their own, random numbers, the tiny task, real data where it is at hand."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ["TQDM_DISABLE"] = "1"  # read when tqdm is imported
if "PYTEST_XDIST_WORKER" not in os.environ:  # a used cache does not see edits in functions of another file
    os.environ["NUMBA_CACHE_DIR"] = tempfile.mkdtemp(prefix="sakerepro-numba-")  # workers share it
    atexit.register(shutil.rmtree, os.environ["NUMBA_CACHE_DIR"], ignore_errors=True)

import elsewhere  # noqa: E402, F401  (before the first backward, which counts the devices)
import numpy as np  # noqa: E402
import pytest  # noqa: E402
import tiny  # noqa: E402
import torch  # noqa: E402
import web  # noqa: E402
from hypothesis import HealthCheck, settings  # noqa: E402

from sakerepro import paths, wordnet  # noqa: E402
from sakerepro.__main__ import main  # noqa: E402
from sakerepro.data.dataset import Dataset  # noqa: E402
from sakerepro.errors import DataError  # noqa: E402
from sakerepro.experiment import Experiment  # noqa: E402
from sakerepro.methods import baseline  # noqa: E402
from sakerepro.runs import Run, run  # noqa: E402

# a deadline would fail on a busy machine
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")
PLACES = ("RUNS", "RESULTS", "CACHE", "COLLECTIONS")


@pytest.fixture(autouse=True)
def own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test sees or leaves a run, a result, a pack or an index of another."""
    for place in PLACES:
        monkeypatch.setenv(f"SAKEREPRO_{place}", str(tmp_path / place.lower()))
    monkeypatch.delenv("SAKEREPRO_PRECISION", raising=False)
    return tmp_path


@pytest.fixture
def own_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder in which data sets and weights are found."""
    monkeypatch.setenv("SAKEREPRO_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("SAKEREPRO_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SAKEREPRO_REAL_DATA", raising=False)
    return tmp_path / "data"


@pytest.fixture
def drawn(tmp_path_factory, monkeypatch) -> None:
    """The world of the preset mini is drawn into a cache that the tests and workers of a session share."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    monkeypatch.setenv("SAKEREPRO_CACHE", str(shared / "world"))


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def server() -> Iterator[web.Server]:
    """A web server of this test alone."""
    web_server = web.Server()
    threading.Thread(target=web_server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield web_server
    web_server.shutdown()
    web_server.server_close()


@pytest.fixture(scope="session")
def tiny_data() -> Dataset:
    """The tiny task in memory."""
    return tiny.dataset()


@pytest.fixture(scope="session")
def tiny_place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``data``, ``original`` and a teacher's weights in ``se_resnet_mini.safetensors``."""
    place = tmp_path_factory.mktemp("tiny")
    tiny.write_folder(place / "data")
    tiny.write_original(place / "original")
    tiny.write_weights(place / "se_resnet_mini.safetensors")
    return place


@pytest.fixture(scope="session")
def tiny_experiment(tiny_place: Path) -> Experiment:
    return tiny.experiment(tiny_place / "data", tiny_place / "se_resnet_mini.safetensors")


def made(folder: Path, *experiments: Experiment, trace: bool = False) -> list[Run]:
    """Finished runs in ``folder/runs``."""
    with pytest.MonkeyPatch.context() as patch:
        for place in PLACES:
            patch.setenv(f"SAKEREPRO_{place}", str(folder / place.lower()))
        return [run(e, trace=trace) for e in experiments]


@pytest.fixture(scope="session")
def tiny_run(tiny_place: Path, tiny_experiment: Experiment) -> Run:
    """A finished run that was never interrupted; tests that damage it work on a copy."""
    return made(tiny_place, tiny_experiment, trace=True)[0]


@pytest.fixture
def my_run(tiny_run: Run) -> Run:
    """A copy of ``tiny_run`` among this test's own runs."""
    return Run(Path(shutil.copytree(tiny_run.folder, paths.runs() / tiny_run.id)), tiny_run.experiment)


@pytest.fixture(scope="session")
def tiny_plain(tiny_experiment: Experiment, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """L_B beside ``tiny_run``: one epoch, not traced."""
    return made(tmp_path_factory.mktemp("plain"), baseline(tiny_experiment).but(epochs=1))[0]


@pytest.fixture(scope="session")
def tiny_pair(tiny_experiment: Experiment, tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    """SAKE and L_B with embeddings long enough for codes of 32 bits."""
    sake = tiny_experiment.but(dim=40, bits=(32,))
    return made(tmp_path_factory.mktemp("pair"), sake, baseline(sake))


@pytest.fixture(scope="session")
def nltk_wordnet() -> Any:
    """NLTK's WordNet, or the test is skipped."""
    try:
        with wordnet.corpus() as corpus:
            return corpus
    except DataError as error:
        pytest.skip(str(error))


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Calls ``sakerepro`` and checks its exit code; gives what it printed as ``.out`` and ``.err``."""

    def call(*arguments: str, code: int = 0) -> Any:
        capsys.readouterr()
        assert main(arguments) == code
        return capsys.readouterr()

    return call


@pytest.fixture
def with_cores() -> Iterator[object]:
    """Sets PyTorch's number of threads, which is restored after the test."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)
