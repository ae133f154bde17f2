"""Speed and memory beside peers: ``python -m benchmarks``.

A module of this folder takes part by having ``rows(quick: bool) -> list[Row]``; most build it from `common.Case`.
"""
