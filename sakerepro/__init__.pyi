# The public names. Read by lazy_loader at every import of the package, by type checkers and by docs/conf.py.
from . import methods, paths, plots, results
from .apps import widgets
from .apps.check import check
from .apps.embedder import Embedder, load
from .apps.export import export_onnx
from .apps.official import import_checkpoint, load_official_checkpoint
from .apps.photos import index_photos, open_collection
from .data.dataset import Dataset, ImageSet, OriginalDomain
from .data.registry import load_dataset, load_original
from .data.splits import photo_queries, pseudo_unseen, random_split
from .embedding import embed
from .errors import ConfigError, DataError, RunError, SakeError
from .evaluation import generalised_metrics
from .experiment import Experiment
from .hashing import ITQ
from .losses import benchmark_loss, sake_loss, teacher_loss
from .methods import Method, preset
from .metrics import RetrievalMetrics, retrieval_metrics
from .model import Student, build_student, factorise
from .networks.backbones import build_classifier
from .provenance import about
from .results.items import experiments, item_rows, item_runs
from .results.measures import class_gains
from .results.runrows import query_precision, run_rows, save_rows
from .results.tuning import tune
from .retrieval import search
from .runs import Run, all_runs, find, open_run, run
from .semantics import imagenet_overlap, leacock_chodorow, resolve_classes, semantic_similarity
from .teachers import load_teacher
from .world.example import example_folder

__version__: str
