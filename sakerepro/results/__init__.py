"""Tables (paper | ours | difference), claims and their verdicts, made from result rows.

Everything here works on a CSV of rows (:func:`read_rows`): nothing trains, nothing needs a GPU.
``table1(frame)`` ... ``forgetting(frame)`` give a table, ``claims("table1", frame)`` the verdicts behind it; both show
themselves in a notebook and on a terminal. ``render("table1", "small")`` gives both from the committed rows.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
