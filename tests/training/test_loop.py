"""Training: reproducible, resumable after any kill, and clear about what is wrong."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from few_threads import one_thread  # noqa: F401 - a fixture for every test here
from tiny_recipe import MODEL, MODEL_TOML, tiny_recipe
from tiny_store import TAGS, TINY, write_tiny_store

from earmark.data.store.reader import open_store
from earmark.errors import (
    BadRecipe,
    BadStore,
    DataError,
    FeatureMismatch,
    FolderInUse,
    MissingExtra,
)
from earmark.folder_lock import only_run_in
from earmark.training import checkpoint, clips, scores, speed
from earmark.training.checkpoint import read_checkpoint
from earmark.training.learner import Learner, rate_at
from earmark.training.loop import train
from earmark.training.recipe import Optimiser
from earmark.training.run import _merit
from earmark.training.songs import choose


def weights(run: Path, name: str = "last.npz") -> dict[str, np.ndarray]:
    return read_checkpoint(run / name)[0]


def losses(run: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (run / "history.jsonl").read_text().splitlines()]


def assert_same_weights(run: Path, other: Path) -> None:
    a, b = weights(run), weights(other)
    assert a.keys() == b.keys()
    different = [name for name in a if not np.array_equal(a[name], b[name])]
    assert not different


def test_the_same_seed_gives_the_same_curve_and_weights(store, tmp_path):
    recipe = tiny_recipe(augment={"roll": True, "mixup": 0.3, "masks": 1, "gain_db": 2.0})
    for run in ("a", "b"):
        train(recipe, store, tmp_path / run)
    train(tiny_recipe(seed=1), store, tmp_path / "c")
    assert losses(tmp_path / "a") == losses(tmp_path / "b")
    assert_same_weights(tmp_path / "a", tmp_path / "b")
    assert losses(tmp_path / "a") != losses(tmp_path / "c")


def test_it_learns_to_tell_the_tags_apart(store, tmp_path):
    told = []
    recipe = tiny_recipe(loop={"epochs": 12}, model={"block_dropout": 0.0, "dropout": 0.0})
    result = train(recipe, store, tmp_path / "run", tell=told.append)
    assert result.roc_auc is not None
    assert result.roc_auc > 0.85
    assert losses(tmp_path / "run")[-1] < losses(tmp_path / "run")[0]
    assert "epoch 12 of 12" in told[-1]


def run_command(store: Path, run: Path, *changes: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "earmark", "train", str(run.parent / "recipe.toml")]
    command += ["--store", str(store), "-o", str(run), "--resume"]
    return subprocess.Popen(
        [*command, *(f"--set={change}" for change in changes)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


def wait_for_step(run: Path, process: subprocess.Popen[bytes], *, beyond: int) -> int:
    """The steps that the last checkpoint had when there were more than `beyond`."""
    while process.poll() is None:
        if (run / "last.npz").exists():
            facts = read_checkpoint(run / "last.npz")[1]["progress"]
            steps = facts["epoch"] * 6 + facts["step"]
            if steps > beyond:
                return steps
        time.sleep(0.005)
    raise AssertionError(process.communicate()[1].decode())


LONG = {"loop": {"epochs": 30, "checkpoint_steps": 1, "average": 0.9}, "augment": {"mixup": 0.3}}
LONG_TOML = f"""
{MODEL_TOML}
[augment]
mixup = 0.3
[optimiser]
rate = 0.01
[loop]
epochs = 30
batch = 8
precision = "f32"
checkpoint_minutes = 0
checkpoint_steps = 1
average = 0.9
"""


@pytest.mark.slow
def test_a_run_that_was_killed_and_resumed_ends_with_the_weights_of_one_that_was_not(
    store, tmp_path
):
    (tmp_path / "recipe.toml").write_text(LONG_TOML)
    run, steps = tmp_path / "killed", 0
    for kill in (signal.SIGKILL, signal.SIGTERM):
        process = run_command(store, run)
        steps = wait_for_step(run, process, beyond=steps + 8)
        process.send_signal(kill)
        stderr = process.communicate(timeout=60)[1].decode()
        if kill == signal.SIGTERM:
            assert process.returncode == 143
            assert "stopped by SIGTERM. All is saved" in stderr
            assert "resumes after epoch" in stderr
        else:
            assert process.returncode == -signal.SIGKILL
        assert steps < 30 * 6, "it was done before it was killed"
    recipe = tiny_recipe(name="recipe", **LONG)
    assert train(recipe, store, run, resume=True).epochs == 30
    train(recipe, store, tmp_path / "whole")
    assert_same_weights(run, tmp_path / "whole")
    assert losses(run) == losses(tmp_path / "whole")
    assert [path.name for path in run.glob(".*.part")] == []


class Interrupted(Exception):
    """What stands for a kill here."""


def test_a_run_goes_on_from_within_an_epoch(store, tmp_path, monkeypatch):
    recipe = tiny_recipe(loop={"checkpoint_steps": 4})
    train(recipe, store, tmp_path / "whole")
    steps = 0

    def give_up(*arguments, **options):
        nonlocal steps
        steps += 1
        if steps == 12:  # of 6 an epoch; the checkpoint holds 10
            raise Interrupted
        return augment(*arguments, **options)

    from earmark.training import batches

    augment = batches.augment
    monkeypatch.setattr(batches, "augment", give_up)
    with pytest.raises(Interrupted):
        train(recipe, store, tmp_path / "run")
    told = []
    train(recipe, store, tmp_path / "run", resume=True, tell=told.append)
    assert "resumes after epoch 1, step 4 of the next" in told
    assert_same_weights(tmp_path / "run", tmp_path / "whole")
    assert losses(tmp_path / "run") == losses(tmp_path / "whole")


def test_a_finished_run_is_left_as_it_is(store, tmp_path):
    recipe = tiny_recipe()
    first = train(recipe, store, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.name[0] != "."}
    assert train(recipe, store, tmp_path, resume=True) == first
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.name[0] != "."}
    assert before == after


def test_a_folder_with_a_run_is_not_overwritten(store, tmp_path):
    train(tiny_recipe(), store, tmp_path)
    with pytest.raises(DataError, match="holds a run"):
        train(tiny_recipe(), store, tmp_path)


def test_a_run_goes_on_with_its_own_recipe_and_data_only(store, tmp_path):
    train(tiny_recipe(), store, tmp_path / "run")
    other = write_tiny_store(tmp_path / "other", n=64, seed=1)
    with pytest.raises(BadRecipe, match=r"optimiser\.rate was 0\.01 and is 0\.5"):
        train(tiny_recipe(optimiser={"rate": 0.5}), store, tmp_path / "run", resume=True)
    with pytest.raises(BadStore, match="labels_sha256"):
        train(tiny_recipe(), other, tmp_path / "run", resume=True)
    # how often it saves is no part of what it learns
    train(tiny_recipe(loop={"checkpoint_steps": 2}), store, tmp_path / "run", resume=True)


def test_a_damaged_checkpoint_is_named(store, tmp_path):
    train(tiny_recipe(), store, tmp_path)
    data = (tmp_path / "last.npz").read_bytes()
    (tmp_path / "last.npz").write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match=r"last\.npz is damaged, or not a checkpoint of earmark"):
        train(tiny_recipe(), store, tmp_path, resume=True)


def test_two_runs_do_not_share_a_folder(store, tmp_path):
    with only_run_in(tmp_path), pytest.raises(FolderInUse):
        train(tiny_recipe(), store, tmp_path)


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_checkpoint_from_before(
    store, tmp_path
):
    recipe = tiny_recipe(
        optimiser={"rate": 1e30, "name": "adam", "schedule": "constant"},
        loop={"checkpoint_steps": 1},
        model={**MODEL, "input_norm": "none"},
    )
    with pytest.raises(DataError, match=r"the loss of step \d+ is (nan|inf).*Lower optimiser.rate"):
        train(recipe, store, tmp_path)
    facts = read_checkpoint(tmp_path / "last.npz")[1]
    assert facts["progress"]["step"] >= 1
    assert np.isfinite(facts["progress"]["losses"][0])


def test_a_full_disk_is_said_and_leaves_the_checkpoint_from_before(store, tmp_path, monkeypatch):
    savez, written = np.savez, 0

    def full(file, **arrays):
        nonlocal written
        written += 1
        if written > 3:
            file.write(b"half a checkp")
            raise OSError(errno.ENOSPC, "No space left on device")
        savez(file, **arrays)

    monkeypatch.setattr(checkpoint.np, "savez", full)
    with pytest.raises(DataError, match=r"cannot write to .*: No space left on device"):
        train(tiny_recipe(loop={"checkpoint_steps": 1}), store, tmp_path / "run")
    monkeypatch.undo()
    assert read_checkpoint(tmp_path / "run" / "last.npz")[1]["progress"]["step"] == 3
    assert not list((tmp_path / "run").glob(".*.part"))
    train(tiny_recipe(), store, tmp_path / "run", resume=True)
    train(tiny_recipe(), store, tmp_path / "whole")
    assert_same_weights(tmp_path / "run", tmp_path / "whole")


def test_tags_without_songs_are_named(tmp_path):
    store = write_tiny_store(tmp_path / "store", tags=(*TAGS, "never", "nor this"))
    _without(store, {"never", "nor this"})
    told = []
    train(tiny_recipe(), store, tmp_path / "run", tell=told.append)
    assert "warning: no song to learn on has the tags: never, nor this" in told
    assert "warning: no song to validate on has the tags: never, nor this" in told


def _without(store: Path, tags: set[str]) -> None:
    """Take tags off every song of a store."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from earmark.data.store.index import make_index, read_index, write_index

    for path in sorted(store.glob("*.parquet")):
        table = pq.read_table(path)
        kept = [[tag for tag in of_one if tag not in tags] for of_one in table["tags"].to_pylist()]
        place = table.schema.get_field_index("tags")
        column = pa.array(kept, table.schema.field("tags").type)
        pq.write_table(table.set_column(place, table.schema.field("tags"), column), path)
    index = read_index(store)
    names = [shard.name for shard in index.shards]
    write_index(store, make_index(store, names, store_format=index.format, tags=index.tags))


def test_songs_without_labels_are_counted_and_left_out(tmp_path):
    store = write_tiny_store(tmp_path / "store", unlabelled=(0, 1, 3))
    told = []
    train(tiny_recipe(), store, tmp_path / "run", tell=told.append)
    assert "training songs left out, as they have no known labels: 2" in told
    assert "validation songs left out, as they have no known labels: 1" in told
    record = json.loads((tmp_path / "run" / "record.json").read_text())
    assert (record["data"]["n_train"], record["data"]["n_valid"]) == (34, 11)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"train": "nothing"}, r"data.train = 'nothing'.*train \(36\), valid \(12\)"),
        ({"valid": "nothing"}, "data.valid = 'nothing'"),
        ({"test_fold": 3}, "data.test_fold = 3"),
    ],
)
def test_a_split_that_no_song_is_in_is_refused_with_those_there_are(data, said, tmp_path):
    store = write_tiny_store(tmp_path / "store")
    with pytest.raises(BadRecipe, match=said):
        train(tiny_recipe(data=data), store, tmp_path / "run")


def test_a_store_without_any_label_is_refused(tmp_path):
    store = write_tiny_store(tmp_path / "store", n=8, unlabelled=range(8))
    with pytest.raises(BadRecipe, match="no song to learn from has known labels"):
        train(tiny_recipe(), store, tmp_path / "run")


def test_folds_leave_the_test_songs_alone(tmp_path):
    store = write_tiny_store(tmp_path / "store", splits=("0", "1", "2"))
    counts = []
    for name, data in (
        ("test", {"test_fold": 0}),
        ("both", {"test_fold": 0, "valid_fold": 1}),
        ("valid", {"valid_fold": 2}),
    ):
        result = train(tiny_recipe(data=data), store, tmp_path / name)
        record = json.loads((tmp_path / name / "record.json").read_text())
        counts.append((record["data"]["n_train"], record["data"]["n_valid"]))
        assert (result.roc_auc is None) == (name == "test")
    assert counts == [(32, 0), (16, 16), (32, 16)]


def test_without_validation_the_last_epoch_is_kept(store, tmp_path):
    result = train(tiny_recipe(data={"valid": ""}), store, tmp_path)
    assert (result.best_epoch, result.roc_auc) == (3, None)
    kept, last = weights(tmp_path, "best.npz"), weights(tmp_path)
    assert all(np.array_equal(kept[name], last[name]) for name in kept)


def test_fewer_songs_can_be_asked_for_and_more_than_there_are_are_refused(store, tmp_path):
    train(tiny_recipe(data={"songs": 16}), store, tmp_path / "run")
    assert json.loads((tmp_path / "run" / "record.json").read_text())["data"]["n_train"] == 16
    with pytest.raises(BadRecipe, match=r"data\.songs is 100, and only 48 songs can be learned"):
        train(tiny_recipe(data={"songs": 100}), store, tmp_path / "other")


def chosen(store: Path, **data: object) -> set[str]:
    with open_store(store, resident=False) as opened:
        songs = choose(opened, tiny_recipe(data=data).data, seed=0)
        return {opened.ids[place] for place in songs.train.tolist()}


def test_fewer_songs_are_a_part_of_more(store):
    sizes = [chosen(store, songs=n) for n in (5, 12, 30, 48)]
    assert [len(songs) for songs in sizes] == [5, 12, 30, 48]
    assert sizes[0] < sizes[1] < sizes[2] < sizes[3] == chosen(store)


def test_with_a_catalog_fewer_songs_are_fewer_artists(store, tmp_path):
    artists = {f"song{n:04}": ("" if n % 8 == 7 else f"Artist {n % 6}") for n in range(64)}
    lines = [f"{song},{song}.mp3,,{artist}," for song, artist in artists.items()]
    catalog = tmp_path / "songs.csv"
    catalog.write_text("\n".join(["id,path,tags,artist,split", *lines]) + "\n")
    sizes = [chosen(store, songs=n, artists=str(catalog)) for n in (6, 13, 30, 48)]
    assert [len(songs) for songs in sizes] == [6, 13, 30, 48]
    assert sizes[0] < sizes[1] < sizes[2] < sizes[3] == chosen(store)
    whole = [chosen(store) & {song for song in artists if artists[song] == f"Artist {n}"}
             for n in range(6)]  # fmt: skip
    for songs in sizes:  # all but the last artist are there with every song
        assert sum(0 < len(songs & of_one) < len(of_one) for of_one in whole) <= 1
    assert sizes[1] != chosen(store, songs=13)
    other = tmp_path / "other.csv"
    other.write_text("id,path,tags,artist,split\nx,x.mp3,,Someone,\n")
    with pytest.raises(BadRecipe, match="knows the artist of none of the 48 songs"):
        chosen(store, songs=5, artists=str(other))


def test_a_store_of_other_features_than_the_recipes_is_refused(store, tmp_path):
    with pytest.raises(FeatureMismatch, match="the store has other features"):
        train(tiny_recipe(features="choi2016"), store, tmp_path)


def test_labels_beyond_memory_are_refused_before_they_are_made(store, tmp_path, monkeypatch):
    monkeypatch.setattr(clips, "free_memory", lambda: 300)
    with pytest.raises(BadStore, match="the labels of 64 songs for 4 tags take"):
        train(tiny_recipe(), store, tmp_path)


def test_memory_and_disk_give_the_same_weights_and_say_where_the_clips_are(store, tmp_path):
    told = []
    for held in ("memory", "disk"):
        train(tiny_recipe(data={"held": held}), store, tmp_path / held, tell=told.append)
    assert_same_weights(tmp_path / "memory", tmp_path / "disk")
    assert any("64 clips, 0 MB, are held in memory" in words for words in told)
    assert any("are read from disk by threads" in words for words in told)


def test_clips_that_do_not_fit_where_they_are_asked_to_be_are_refused(store, tmp_path, monkeypatch):
    if not torch.cuda.is_available():
        with pytest.raises(BadRecipe, match="torch finds no GPU"):
            train(tiny_recipe(data={"held": "gpu"}), store, tmp_path)
    monkeypatch.setattr(clips, "free_memory", lambda: 1000)
    with pytest.raises(BadRecipe, match=r"held is 'memory', but 64 clips take"):
        train(tiny_recipe(data={"held": "memory"}), store, tmp_path)


def test_a_store_of_bytes_trains_as_well(tmp_path):
    store = write_tiny_store(tmp_path / "store", dtype="uint8")
    assert train(tiny_recipe(), store, tmp_path / "run").epochs == 3


def test_clips_on_the_gpu_are_converted_there_to_the_same_decibels(tmp_path):
    for dtype in ("float16", "uint8"):
        opened = open_store(write_tiny_store(tmp_path / dtype, dtype=dtype), resident=False)
        indices = opened.indices("valid")
        places = [np.array([3, 0, 3]), np.array([5])]
        held = clips._copy_to_gpu(opened, indices, torch.device("cpu"))
        for chosen, batch in zip(places, held.batches(places), strict=True):
            expected = torch.from_numpy(opened.log_mels(indices[chosen]))
            torch.testing.assert_close(batch, expected, atol=1e-4, rtol=0)


def test_bf16_learns_what_f32_learns_within_noise(store, tmp_path):
    for precision in ("bf16", "f32"):
        train(tiny_recipe(loop={"precision": precision}), store, tmp_path / precision)
    np.testing.assert_allclose(losses(tmp_path / "bf16"), losses(tmp_path / "f32"), rtol=0.03)
    assert losses(tmp_path / "bf16") != losses(tmp_path / "f32")


def test_early_stopping_ends_after_as_many_epochs_without_a_better_one(store, tmp_path):
    result = train(tiny_recipe(loop={"epochs": 60, "patience": 2}), store, tmp_path)
    assert result.best_epoch is not None
    assert result.epochs == result.best_epoch + 2 < 60


def test_the_average_is_what_is_kept(store, tmp_path):
    recipe = tiny_recipe(data={"valid": ""}, loop={"average": 0.8, "epochs": 2})
    train(recipe, store, tmp_path)
    kept, last = weights(tmp_path, "best.npz"), weights(tmp_path)
    for name, value in kept.items():
        assert np.array_equal(value, last[name.replace("model.", "average.", 1)])
    assert not np.array_equal(kept["model.output.weight"], last["model.output.weight"])


def test_crops_need_a_network_that_takes_them(store, tmp_path):
    train(tiny_recipe(augment={"crop_frames": 20}), store, tmp_path / "run")
    for model, crop, said in (
        ({"input_norm": "frame"}, 20, "input_norm"),
        ({"recurrent": "none"}, 20, "summary"),
        ({}, 32, "clips have 32 frames"),
        ({}, 3, "reduce to no frame"),
    ):
        recipe = tiny_recipe(augment={"crop_frames": crop}, model={**MODEL, **model})
        with pytest.raises(BadRecipe, match=said):
            train(recipe, store, tmp_path / "other")


def test_the_record_says_how_to_make_the_run_again(store, tmp_path):
    recipe = tiny_recipe()
    result = train(recipe, store, tmp_path)
    record = json.loads((tmp_path / "record.json").read_text())
    assert record["recipe"] == recipe.to_dict()
    assert record["task"]["tags"] == list(TAGS)
    assert record["task"]["features"] == TINY.to_dict()
    assert record["environment"]["torch"] == torch.__version__
    assert record["results"]["best"]["roc_auc"] == result.roc_auc
    assert record["results"]["peak_memory_bytes"] > 1e7
    assert record["results"]["seconds"] > 0
    assert (tmp_path / "history.png").read_bytes().startswith(b"\x89PNG")


def test_no_file_of_a_run_holds_a_pickle(store, tmp_path):
    train(tiny_recipe(), store, tmp_path)
    for name in ("last.npz", "best.npz"):
        with np.load(tmp_path / name, allow_pickle=False) as file:
            assert all(file[key].dtype != object for key in file.files)


def test_tensorboard_gets_each_epoch(store, tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(tiny_recipe(loop={"tensorboard": True}), store, tmp_path)
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [event.value for event in events.Scalars("loss")] == pytest.approx(losses(tmp_path))


def test_tensorboard_gets_the_loss_of_steps_and_shows_none_twice(store, tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    def recipe(epochs: int):
        loop = {"epochs": epochs, "tensorboard": True, "tensorboard_steps": 4}
        return tiny_recipe(loop=loop, optimiser={"schedule": "constant"})

    train(recipe(1), store, tmp_path)
    train(recipe(3), store, tmp_path, resume=True)
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("steps/loss")] == [4, 8, 12, 16]
    assert [event.step for event in events.Scalars("loss")] == [6, 12, 18]
    assert all(event.value > 0 for event in events.Scalars("steps/loss"))
    assert events.Scalars("steps/rate")[0].value == pytest.approx(0.01)


def test_a_run_shows_how_far_it_is_and_estimates_the_rest(store, tmp_path, monkeypatch):
    monkeypatch.setattr(speed, "_SECONDS_BETWEEN", 0.0)
    monkeypatch.setattr(speed, "_SECONDS_MEASURED", 0.0)
    seen, told = [], []
    train(tiny_recipe(), store, tmp_path, tell=told.append, watch=seen.append)
    assert [(one.epoch, one.step) for one in seen if one.step] == [
        (epoch, step) for epoch in (1, 2, 3) for step in (1, 2, 3, 4, 5, 6, 6)
    ]
    assert {(one.epochs, one.steps) for one in seen} == {(3, 6)}
    assert all(0 < one.loss < 5 for one in seen)
    assert seen[0].clips_a_second is None
    assert all(one.clips_a_second > 0 for one in seen[3:])
    assert seen[-1].seconds_left < seen[3].seconds_left
    said = [words for words in told if words.startswith("this run takes about")]
    assert len(said) == 1
    assert re.fullmatch(
        r"this run takes about \d+:\d\d:\d\d \(h:min:s\) for \d epochs?, [\d.]+ clips a second, "
        r"[\d.]+ GB of memory, \d+ MB of disk in .*",
        said[0],
    )


def test_the_estimate_of_the_disk_is_what_the_files_take(store, tmp_path, monkeypatch):
    monkeypatch.setattr(speed, "_SECONDS_MEASURED", 0.0)
    told = []
    recipe = tiny_recipe(model={**MODEL, "widths": [64, 128]}, loop={"epochs": 2})
    train(recipe, store, tmp_path, tell=told.append)
    said = next(words for words in told if "MB of disk" in words)
    match = re.search(r"(\d+) MB of disk", said)
    assert match is not None
    sizes = [(tmp_path / name).stat().st_size for name in ("last.npz", "best.npz")]
    assert int(match[1]) == pytest.approx((sum(sizes) + max(sizes)) / 1e6, abs=1.5)


def test_of_epochs_with_one_roc_auc_the_one_with_the_lower_loss_is_kept():
    line = {"roc_auc": 0.5, "valid_loss": 0.7, "epoch": 1}
    better = [line, {**line, "valid_loss": 0.6}, {**line, "valid_loss": 0.9, "roc_auc": 0.6}]
    assert [_merit(one) for one in better] == sorted(_merit(one) for one in reversed(better))
    without = {"roc_auc": None, "valid_loss": None, "epoch": 3}
    assert _merit(without) < _merit({**without, "valid_loss": 2.0}) < _merit(line)
    assert _merit({"epoch": 1}) < _merit({"epoch": 2})


def test_a_signal_while_validation_songs_are_scored_ends_the_run_and_loses_nothing(
    store, tmp_path, monkeypatch
):
    train(tiny_recipe(), store, tmp_path / "whole")
    predict, scored = Learner.predict, 0

    def interrupted(self, clips):
        nonlocal scored
        scored += 1
        if scored == 3:  # of two batches an epoch
            signal.raise_signal(signal.SIGTERM)
        return predict(self, clips)

    monkeypatch.setattr(scores, "_BATCH", 8)
    monkeypatch.setattr(Learner, "predict", interrupted)
    stopped = train(tiny_recipe(), store, tmp_path / "run")
    assert (stopped.stopped_by, stopped.epochs, scored) == ("SIGTERM", 1, 3)
    assert train(tiny_recipe(), store, tmp_path / "run", resume=True).epochs == 3
    assert_same_weights(tmp_path / "run", tmp_path / "whole")
    assert losses(tmp_path / "run") == losses(tmp_path / "whole")


def test_tensorboard_that_is_not_installed_is_named(store, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(MissingExtra, match=r"\[tensorboard\]"):
        train(tiny_recipe(loop={"tensorboard": True}), store, tmp_path)


def test_one_cycle_rises_to_its_rate_and_falls_to_nothing():
    settings = Optimiser(rate=0.1, schedule="one-cycle", warmup=0.3)
    rates = [rate_at(step, 100, settings) for step in range(100)]
    assert max(rates) == pytest.approx(0.1)
    assert rates.index(max(rates)) == 30
    assert rates[0] == pytest.approx(0.004)
    assert rates[-1] < 1e-5
    assert rates[:31] == sorted(rates[:31])
    assert rates[30:] == sorted(rates[30:], reverse=True)
    assert rate_at(7, 100, Optimiser(rate=0.1, schedule="constant")) == 0.1
