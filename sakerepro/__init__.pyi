# The public names. Read by lazy_loader at every import of the package, by type checkers and by docs/build.py.
from . import methods, paths, plots, results, widgets
from .backbones import build_classifier
from .checking import check
from .collection import index_photos, open_collection
from .data import (
    Dataset,
    ImageSet,
    OriginalDomain,
    load_dataset,
    load_original,
    photo_queries,
    pseudo_unseen,
    random_split,
)
from .embedding import embed
from .errors import ConfigError, DataError, RunError, SakeError
from .experiment import Experiment
from .generalised import generalised_metrics
from .hashing import ITQ
from .items import experiments, item_rows, item_runs, query_precision, run_rows, save_rows
from .losses import benchmark_loss, sake_loss, teacher_loss
from .measures import class_gains
from .methods import Method, preset
from .metrics import RetrievalMetrics, retrieval_metrics
from .model import Student, build_student, factorise
from .own import example_folder
from .provenance import about
from .retrieval import search
from .runs import Run, all_runs, find, open_run, run
from .semantics import imagenet_overlap, leacock_chodorow, resolve_classes, semantic_similarity
from .teachers import load_teacher
from .tuning import tune

__version__: str
