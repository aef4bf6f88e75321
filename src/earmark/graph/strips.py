"""Images cut into strips of rows, so that the values of one strip stay in the processor's cache."""

from __future__ import annotations

from collections.abc import Iterator

from earmark.graph.nodes import Nodes

# Of what is made of a strip of one window: with more it leaves the cache, with less the matrices
# are small and the nodes many. From 1 to 4 MB all is equally fast.
STRIP_BYTES = 3 << 20


def strips(n_rows: int, *, row_bytes: int) -> Iterator[tuple[int, int]]:
    """The rows of each strip, from `start` up to but not including `stop`.

    row_bytes : of what is made of one row of one window
    """
    most = max(1, STRIP_BYTES // row_bytes)
    for start in range(0, n_rows, most):
        yield start, min(n_rows, start + most)


def cut(
    graph: Nodes, image: str, name: str, *, start: int, stop: int, n_rows: int
) -> tuple[str, int, int]:
    """The rows from start up to stop of an image (..., ..., n_rows, ...); both may lie outside it.

    returns : the rows that there are, and how many are missing before and after them
    """
    before, after = max(0, -start), max(0, stop - n_rows)
    start, stop = start + before, stop - after
    if (start, stop) == (0, n_rows):
        return image, before, after
    bounds = [graph.integers(f"{name}.{word}", [n]) for word, n in (("from", start), ("to", stop))]
    axis = graph.integers(f"{name}.axis", [2])
    return graph.add("Slice", [image, *bounds, axis], f"{name}.rows"), before, after
