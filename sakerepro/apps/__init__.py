"""What people use: check a folder, search photos, draw a sketch, write a model card, compare runs."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
