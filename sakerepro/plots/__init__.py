"""Every figure of the study, one call each: ``sr.plots.retrieval_grid(run)`` and so on, then ``sr.plots.save``.

Each function returns a matplotlib ``Figure`` that shows itself in a notebook; none opens a pyplot figure.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
