"""The simulation of many songs, at a size that a test has time for."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from benchmarks import scale

from earmark.data.previews import rate_limit


@pytest.mark.parametrize("part", sorted(scale.PARTS.keys() - {"limiter"}))
def test_each_part_measures_what_its_name_says(part: str, tmp_path: Path):
    row = scale.PARTS[part](2000, tmp_path)
    assert all(seconds >= 0 for seconds in row["seconds"].values())
    if part == "store":
        assert row["clips"] == 2000 * 96 * 1366 * 2
        assert (tmp_path / "shard-00001.npy").stat().st_size > row["clips"] // 2
    if part == "sampler":
        assert row["steps"] == 2000 // scale.BATCH


def test_machines_that_share_a_limit_use_it_whether_they_know_of_it_or_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(scale, "HOURS", 1)
    row = scale.limiter(3, tmp_path)
    assert vars(rate_limit)["time"] is time
    whole, share = row["each the whole limit"], row["each its share"]
    assert whole["used"] > 0.95 < share["used"]
    assert whole["rejected"] > share["rejected"] == 0
