"""The embeddings of a library, stored in blocks: fast to read together, and to compare with one.

SQLite takes longer to return 100,000 rows than NumPy to compare them. So the embedding of song `id`
is in block id // BLOCK of its model, at place id % BLOCK. It is valid while the song is not failed
or missing; the place of a deleted song is overwritten by the next song with its id. Only the
direction is stored, each number as int16: cosines are exact to 1e-4, and NumPy converts int16 to
float32 ten times as fast as float16.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from earmark.arrays import Float32Array
from earmark.errors import BadLibrary
from earmark.sqlite_file import Database

BLOCK = 256  # songs; 246 KB of the shipped model's embeddings
_SCALE = 32767  # of the direction's numbers, which lie in [-1, 1]

# the embedding of a row of songs that is joined with its block
JOIN = f"JOIN embeddings USING (model) WHERE block = songs.id / {BLOCK}"
VECTOR = (
    f"substr(vectors, songs.id % {BLOCK} * (length(vectors) / {BLOCK}) + 1, "
    f"length(vectors) / {BLOCK})"
)


def keep(connection: sqlite3.Connection, model: int, song: int, embedding: Float32Array) -> None:
    """Write the embedding of a song to its place, within a transaction.

    embedding : float32 (n_dimensions,)

    Raises BadLibrary for another length than the model's other embeddings have.
    """
    blob = np.round(unit(embedding) * _SCALE).astype("<i2").tobytes()
    block, place = divmod(song, BLOCK)
    connection.execute(
        "INSERT INTO embeddings (model, block, vectors) VALUES (?, ?, zeroblob(?)) "
        "ON CONFLICT DO NOTHING",
        (model, block, BLOCK * len(blob)),
    )
    row = connection.execute(
        "SELECT id FROM embeddings WHERE model = ? AND block = ?", (model, block)
    ).fetchone()[0]
    with connection.blobopen("embeddings", "vectors", row) as vectors:
        if len(vectors) != BLOCK * len(blob):
            raise BadLibrary(
                "the library has embeddings of another length for this model; use a new file"
            )
        vectors.seek(place * len(blob))
        vectors.write(blob)


def from_vector(blob: bytes) -> Float32Array:
    """float32 (n_dimensions,), of length one, from VECTOR."""
    return unit(np.frombuffer(blob, dtype="<i2").astype(np.float32))


@dataclass(frozen=True)
class EmbeddingIndex:
    """The embeddings of one model's songs: all that were heard and are not missing.

    numbers : int64 (n_songs,), ids of the songs
    places : int64 (n_songs,), where their embeddings are in the concatenated blocks
    blocks : int16 (BLOCK, n_dimensions) each, unit vectors times _SCALE
    """

    numbers: npt.NDArray[np.int64]
    places: npt.NDArray[np.int64]
    blocks: tuple[npt.NDArray[np.int16], ...]

    @classmethod
    def load(cls, database: Database, model: int) -> Self:
        """Read all embeddings of a model. Raises BadLibrary if their lengths differ."""
        listed = database.rows(
            "SELECT group_concat(id) FROM songs "
            "WHERE model = ? AND missing_since IS NULL AND error_kind IS NULL",
            (model,),
        )[0][0]
        numbers = np.fromstring(listed or "", sep=",", dtype=np.int64)
        rows = database.rows(
            "SELECT block, vectors FROM embeddings WHERE model = ? ORDER BY block", (model,)
        )
        if len({len(vectors) for _, vectors in rows}) > 1:
            raise BadLibrary(
                f"{database.path} has embeddings of several lengths. Scan into a new file"
            )
        order = np.array([block for block, _ in rows], dtype=np.int64)
        return cls(
            numbers,
            np.searchsorted(order, numbers // BLOCK) * BLOCK + numbers % BLOCK,
            tuple(np.frombuffer(vectors, dtype="<i2").reshape(BLOCK, -1) for _, vectors in rows),
        )

    def similarities(self, vector: Float32Array) -> Float32Array:
        """The cosine of every song with a vector; float32 (n_songs,).

        vector : float32 (n_dimensions,)
        """
        if not self.numbers.size:
            return np.zeros(0, dtype=np.float32)
        scaled = unit(vector) / np.float32(_SCALE)
        found = np.concatenate([block.astype(np.float32) @ scaled for block in self.blocks])
        return np.asarray(np.clip(found[self.places], -1, 1), dtype=np.float32)

    def nearest(self, vector: Float32Array, *, n: int) -> list[tuple[int, float]]:
        """(song id, similarity) of the n songs that are most like a vector.

        vector : float32 (n_dimensions,)
        """
        similarities = self.similarities(vector)
        n = min(n, similarities.size)
        if n == 0:
            return []
        best = np.argpartition(-similarities, n - 1)[:n]
        best = best[np.argsort(-similarities[best], kind="stable")]
        return [(int(self.numbers[i]), float(similarities[i])) for i in best]

    def vectors(self, songs: npt.NDArray[np.int64]) -> Float32Array:
        """The embeddings of some songs, of length one; float32 (n, n_dimensions).

        songs : int64 (n,), places in `numbers`
        """
        if not self.numbers.size:
            return np.zeros((0, 0), dtype=np.float32)
        return unit(np.concatenate(self.blocks)[self.places[songs]].astype(np.float32))


def unit(vectors: Float32Array) -> Float32Array:
    """Vectors of length one, in the same directions.

    vectors : float32 (..., n_dimensions)
    """
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, np.float32(1e-12)), dtype=np.float32)
