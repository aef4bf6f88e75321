"""Images in strips of rows, so that what is made of a strip stays in the processor's cache."""

from __future__ import annotations

from collections.abc import Iterator

from earmark.graph.nodes import Nodes

STRIP_BYTES = 3 << 20  # of results: with more they leave the cache, with fewer the nodes cost more


def strips(n_rows: int, *, row_bytes: int) -> Iterator[tuple[int, int]]:
    """(first, last + 1) of the rows of each strip; row_bytes is what is made of a row."""
    most = max(1, STRIP_BYTES // row_bytes)
    for first in range(0, n_rows, most):
        yield first, min(n_rows, first + most)


def cut(
    graph: Nodes, image: str, name: str, *, begin: int, end: int, n_rows: int
) -> tuple[str, int, int]:
    """Rows from begin to end of an image (..., ..., n_rows, ...), which may reach beyond it.

    returns : the rows that there are, and how many are missing before and after them
    """
    before, after = max(0, -begin), max(0, end - n_rows)
    first, last = begin + before, end - after
    if (first, last) == (0, n_rows):
        return image, before, after
    bounds = [
        graph.integers(f"{name}.{word}", [row]) for word, row in (("from", first), ("to", last))
    ]
    axis = graph.integers(f"{name}.axis", [2])
    return graph.add("Slice", [image, *bounds, axis], f"{name}.rows"), before, after
