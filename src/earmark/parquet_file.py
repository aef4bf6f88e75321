"""Parquet files: imports pyarrow, or says how to install it; writes and reads whole files.

Files are opened here: pyarrow refuses the name of one that is not UTF-8.
"""

from __future__ import annotations

from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from earmark.errors import MissingExtra

if TYPE_CHECKING:
    import pyarrow as pa


def load_pyarrow() -> Any:
    """The module pyarrow. Raises MissingExtra, with the command that installs it."""
    try:
        import pyarrow
    except ImportError as error:
        raise MissingExtra("pyarrow", "data") from error
    return pyarrow


def read_parquet(file: IO[bytes]) -> pa.Table:
    """All rows of a Parquet file, without Arrow's threads.

    A thread that is still starting when a short command ends aborts the process (pyarrow 26,
    five times in ninety on two busy cores).
    """
    import pyarrow.parquet as pq

    return pq.ParquetFile(file, pre_buffer=False).read(use_threads=False)


def read_parquet_schema(path: Path) -> pa.Schema:
    """The columns of a Parquet file, with its metadata."""
    import pyarrow.parquet as pq

    with path.open("rb") as file:
        return pq.read_schema(file)


def write_parquet(table: pa.Table, path: Path) -> None:
    """Write all rows into a new file."""
    import pyarrow.parquet as pq

    with path.open("wb") as file:
        pq.write_table(table, file, compression="zstd")
