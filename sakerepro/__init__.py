"""SAKE: zero-shot sketch-based image retrieval, reproduced, ready to study and to use.

``import sakerepro as sr`` gives what a study needs. The names are listed in ``__init__.pyi``; each is loaded when it is
first used, so that the import itself and the command line's help cost next to nothing.
"""

import lazy_loader

__version__ = "0.1.0"
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
