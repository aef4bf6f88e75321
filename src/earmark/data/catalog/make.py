"""Makes a catalog file from a song list: keeps frequent tags, splits songs, writes and counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from earmark.data.catalog.catalog import write_catalog
from earmark.data.catalog.import_report import Imported
from earmark.data.catalog.splits import FRACTIONS, By, split_songs, split_validation
from earmark.data.catalog.summary import CatalogSummary, summarise
from earmark.data.catalog.vocabulary import keep_tags
from earmark.errors import BadValue


@dataclass(frozen=True)
class CatalogOptions:
    """What to do with the songs of a list; by default they stay as they are.

    top_tags : keep this many tags, the most frequent; None for all
    min_songs : keep the tags of at least so many songs
    split_by : split the songs anew, by artist or by song; None keeps the splits of the list
    fractions : of train, valid and test, where split_by splits them; None for FRACTIONS
    validation : share of the songs outside of test that becomes valid, the rest train; then the
        test songs stay, and split_by says only how (by song, where it is None)
    seed : of the split
    """

    top_tags: int | None = None
    min_songs: int = 1
    split_by: By | None = None
    fractions: Sequence[float] | None = None
    validation: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse fractions that would have no effect."""
        if self.fractions is not None and (self.split_by is None or self.validation is not None):
            raise BadValue("fractions go with split_by, and not with validation")


def make_catalog(
    imported: Imported, path: str | Path, *, options: CatalogOptions | None = None
) -> CatalogSummary:
    """Write the catalog of a song list to `path`; returns what is in it.

    imported : as read_csv, read_jamendo, read_msd or read_mtat return it
    """
    options = options or CatalogOptions()
    catalog = imported.catalog
    if options.top_tags is not None or options.min_songs > 1:
        catalog = keep_tags(catalog, top=options.top_tags, min_songs=options.min_songs)
    if options.validation is not None:
        by = options.split_by or "song"
        catalog = split_validation(catalog, by=by, fraction=options.validation, seed=options.seed)
    elif options.split_by is not None:
        catalog = split_songs(
            catalog,
            by=options.split_by,
            fractions=options.fractions or FRACTIONS,
            seed=options.seed,
        )
    write_catalog(catalog, path)
    return summarise(catalog)
