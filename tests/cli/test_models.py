"""`earmark models`: list, info, pull and import, up to the process that a user starts."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import file_server
import pytest
import tiny_model
from typer.testing import CliRunner, Result

from earmark import files, published, zoo
from earmark.cli import models
from earmark.errors import BadModel, BadValue, DownloadFailed, ModelNotFound
from earmark.model_file import read_card
from earmark.tags import meaning, place_of_group

BODY = b"not weights at all, but with the right sum"
TINY = zoo.Weights(
    kind="choi2016",
    file="tiny.h5",
    url=None,
    sha256=hashlib.sha256(BODY).hexdigest(),
    size=len(BODY),
    licence="CC0",
    citation="nobody",
    description="stands for published weights",
)


@pytest.fixture(autouse=True)
def _no_mirror(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EARMARK_ZOO_URL", raising=False)


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch):
    """A server that has the weights of a model called tiny."""
    monkeypatch.setitem(zoo.PUBLISHED, "tiny", TINY)
    with file_server.FileServer({"/tiny.h5": file_server.whole(BODY)}) as server:
        monkeypatch.setenv("EARMARK_ZOO_URL", server.url)
        yield server


@pytest.fixture
def converted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Conversions so far; each makes a small model, so that no published weights are needed."""
    kinds: list[str] = []

    def convert(kind: str, weights: Path, output: Path, *, name: str) -> None:
        assert (weights.read_bytes(), name) == (BODY, "tiny")
        kinds.append(kind)
        tiny_model.write(output)

    monkeypatch.setattr(published, "convert", convert)
    return kinds


def run(*args: str | Path) -> Result:
    """The command in this process; an error of ours is raised, as main() would meet it."""
    result = CliRunner().invoke(models.models_app, [str(arg) for arg in args])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def lines(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def earmark(*args: str | Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "earmark", "models", *map(str, args)],
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


# list


def test_list_shows_every_model_and_its_licence() -> None:
    text = run("list").stdout
    for name, weights in zoo.PUBLISHED.items():
        line = next(line for line in text.splitlines() if line.split()[0] == name)
        assert weights.licence in line
        assert " no " in line
    assert "also: won2020)" in text
    assert max(map(len, text.splitlines())) <= 80


def test_list_as_json_is_one_object_a_line() -> None:
    rows = lines(run("list", "--json"))
    assert [row["name"] for row in rows] == ["earmark", *zoo.PUBLISHED]
    for row in rows:
        assert row.keys() == {
            "name", "aliases", "licence", "bytes", "installed", "path", "description",
        }  # fmt: skip
        assert row["installed"] is (row["name"] == "earmark")
        assert row["path"] == (str(zoo.resolve("earmark")) if row["installed"] else None)


def test_list_tells_what_is_installed() -> None:
    zoo.model_path("choi2016").parent.mkdir(parents=True)
    tiny_model.write(zoo.model_path("choi2016"))
    rows = {row["name"]: row for row in lines(run("list", "--json"))}
    assert rows["choi2016"]["installed"] is True
    assert rows["choi2016"]["path"] == str(zoo.model_path("choi2016"))
    assert rows["cs2470"]["installed"] is False
    assert [line.split()[0] for line in run("list").stdout.splitlines() if " yes " in line] == [
        "earmark",
        "choi2016",
    ]


def test_the_shipped_model_is_here_and_is_not_pulled() -> None:
    done = run("pull", "earmark")
    assert done.stdout.strip() == str(zoo.resolve("earmark"))
    assert "comes with this package" in done.stderr


# info


def test_info_as_json_holds_the_whole_card(tmp_path: Path) -> None:
    path = tiny_model.write(tmp_path / "mine.onnx", training={"epochs": 3})
    (row,) = lines(run("info", path, "--json"))
    card = read_card(path)
    assert row["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (row["path"], row["bytes"]) == (str(path), path.stat().st_size)
    assert row["tags"] == list(card.tags)
    assert row["priors"] == list(card.priors)
    assert row["features"] == card.features.to_dict()
    assert (row["source"], row["licence"]) == (card.source, card.licence)
    assert row["training"] == {"epochs": 3}
    assert row["format_version"] == card.format_version


def test_info_is_a_page_for_a_person(tmp_path: Path) -> None:
    path = tiny_model.write(tmp_path / "mine.onnx", training={"reading": "restored"})
    text = " ".join(run("info", path).stdout.split())
    card = read_card(path)
    for words in (card.source, hashlib.sha256(path.read_bytes()).hexdigest(), "12,000 Hz"):
        assert words in text
    assert "training reading restored" in text
    for tag in card.tags:
        assert tag in text


def test_info_tells_the_training_and_the_figures_of_the_shipped_model_in_words() -> None:
    text = run("info", "earmark").stdout
    of_folds = read_card(zoo.resolve("earmark")).training["held_out_folds"]
    mean, low, high = of_folds["16 tags in 4Q"]["roc_auc"]
    figure = f"{mean:.3f} ({low:.3f} to {high:.3f})"
    for words in ("learned from 2,705 songs", "61 of 130 tags", figure):
        assert words in text
    assert "{" not in text
    path = str(zoo.resolve("earmark"))
    assert all(len(line) <= 80 or path in line for line in text.splitlines())


def test_info_shows_how_far_each_tag_can_be_trusted() -> None:
    lines = run("info", "earmark", "--tags").stdout.splitlines()
    card = read_card(zoo.resolve("earmark"))
    rows = [line for line in lines if line[:24].strip() in card.tags]
    assert len(rows) == len(card.tags)
    groups = [row.split()[-1] for row in rows]
    assert groups == sorted(groups, key=place_of_group)
    (of_hip_hop,) = (row for row in rows if row.startswith("Hip-Hop"))
    place = card.tags.index("Hip-Hop")
    assert card.priors is not None
    assert card.reliability is not None
    assert f"{card.priors[place]:.4f}" in of_hip_hop
    assert f"{card.reliability[place]:.2f}" in of_hip_hop
    assert lines[lines.index(of_hip_hop) + 1].strip() == meaning("Hip-Hop")


def test_info_of_a_name_that_is_not_installed_says_what_to_run() -> None:
    with pytest.raises(ModelNotFound, match="earmark models pull choi2016"):
        run("info", "choi2016")


def test_info_of_another_file_says_what_it_is_not(tmp_path: Path) -> None:
    (tmp_path / "song.mp3").write_bytes(b"ID3 music")
    with pytest.raises(BadModel, match="not an earmark model"):
        run("info", tmp_path / "song.mp3")


# pull


def test_pull_prints_nothing_but_the_path_on_stdout(mirror, converted) -> None:
    result = run("pull", "tiny")
    assert result.stdout == f"{zoo.model_path('tiny')}\n"
    assert "licence: CC0" in result.stderr
    assert read_card(zoo.model_path("tiny")).name == "tiny"
    assert converted == ["choi2016"]


def test_a_second_pull_asks_nobody(mirror, converted) -> None:
    first = run("pull", "tiny")
    assert run("pull", "tiny").stdout == first.stdout
    assert len(mirror.asked) == 1
    assert len(converted) == 1


def test_a_forced_pull_converts_again_from_the_weights_in_the_cache(mirror, converted) -> None:
    run("pull", "tiny")
    run("pull", "tiny", "--force")
    assert len(mirror.asked) == 1  # the sum of the weights is checked, so they need no new fetch
    assert len(converted) == 2


def test_a_pull_replaces_a_model_file_that_this_version_cannot_read(mirror, converted) -> None:
    run("pull", "tiny")
    zoo.model_path("tiny").write_bytes(b"a model of another time")
    run("pull", "tiny")
    assert read_card(zoo.model_path("tiny")).name == "tiny"


def test_weights_that_do_not_convert_leave_no_model(mirror) -> None:
    with pytest.raises(BadModel, match="neither a Keras file"):
        run("pull", "tiny")
    assert not zoo.model_path("tiny").exists()


def test_a_wrong_checksum_leaves_no_model(mirror, converted) -> None:
    mirror.answers["/tiny.h5"] = file_server.whole(BODY.upper())
    with pytest.raises(DownloadFailed, match=TINY.sha256):
        run("pull", "tiny")
    assert not zoo.model_path("tiny").exists()
    assert converted == []


def test_pulling_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ModelNotFound, match=r"'resnet'.*choi2016"):
        run("pull", "resnet")


def test_every_name_can_be_pulled_from_a_folder_of_weights(
    shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EARMARK_PUBLISHED", str(shared / "published"))
    monkeypatch.setenv("EARMARK_OFFLINE", "1")
    for name, weights in zoo.PUBLISHED.items():
        if weights.kind == "musicnn":  # its wheel is not among them
            continue
        path = Path(run("pull", name).stdout.strip())
        card = read_card(path)
        assert path == zoo.model_path(name)
        assert (card.name, card.licence, card.source) == (name, weights.licence, weights.citation)
    assert run("pull", "won2020").stdout == run("pull", "won2020-fcn").stdout


def test_the_four_networks_of_musicnn_come_out_of_one_wheel(
    musicnn_wheel: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("EARMARK_PUBLISHED", str(musicnn_wheel.parent))
    monkeypatch.setenv("EARMARK_OFFLINE", "1")
    for name in ("musicnn-msd", "vgg-msd", "musicnn-mtt", "vgg-mtt"):
        card = read_card(Path(run("pull", name).stdout.strip()))
        assert (card.name, card.licence) == (name, "ISC")
        assert card.tags[0] == ("guitar" if name.endswith("mtt") else "rock")
    output = tmp_path / "made.onnx"
    with pytest.raises(BadModel, match=r"several networks: say with --name which of musicnn-msd"):
        run("import", "musicnn", musicnn_wheel, "-o", output)
    run("import", "musicnn", musicnn_wheel, "--name", "vgg-mtt", "-o", output)
    assert output.read_bytes() == zoo.model_path("vgg-mtt").read_bytes()


def test_two_pulls_at_once_both_succeed(shared: Path) -> None:
    weights = zoo.PUBLISHED["choi2016"]
    body = (shared / "published" / weights.file).read_bytes()
    answer = file_server.together(body, n_clients=2)
    with file_server.FileServer({f"/{weights.file}": answer}) as server:
        pulls = [earmark("pull", "choi2016", EARMARK_ZOO_URL=server.url) for _ in range(2)]
        told = [pull.communicate(timeout=60) for pull in pulls]
    assert [pull.returncode for pull in pulls] == [0, 0], told
    assert {out for out, _ in told} == {f"{zoo.model_path('choi2016')}\n"}
    assert read_card(zoo.model_path("choi2016")).name == "choi2016"
    assert sorted(path.name for path in files.cache_folder().rglob("*") if path.is_file()) == [
        "choi2016.onnx",
        weights.file,
    ]


def test_a_failed_pull_is_one_line_and_exit_1() -> None:
    process = earmark("pull", "choi2016", EARMARK_OFFLINE="1")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "")
    assert err.startswith("error: EARMARK_OFFLINE forbids fetching choi2016")
    assert err.count("\n") == 1


# import


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("choi2016", "choi2016"),
        ("cs2470", "cs2470"),
        ("won2020", "won2020-crnn"),
        ("won2020", "won2020-jamendo-fcn"),
        ("won2020", "won2020-jamendo-musicnn"),
        ("efficientat", "efficientat-mn04"),
    ],
)
def test_import_makes_a_model_file(shared: Path, tmp_path: Path, kind: str, name: str) -> None:
    weights = shared / "published" / zoo.PUBLISHED[name].file
    output = tmp_path / "made.onnx"
    assert run("import", kind, weights, "-o", output).stdout == f"{output}\n"
    assert read_card(output).name == name


def test_import_as_published_gives_another_model(shared: Path, tmp_path: Path) -> None:
    weights = shared / "published" / zoo.PUBLISHED["choi2016"].file
    run("import", "choi2016", weights, "-o", tmp_path / "restored.onnx")
    run("import", "choi2016", weights, "-o", tmp_path / "published.onnx", "--as-published")
    restored, as_published = (
        read_card(tmp_path / f"{name}.onnx") for name in ("restored", "published")
    )
    assert restored.name == "choi2016"
    assert as_published.name != restored.name


def test_import_of_another_kind_has_one_reading(shared: Path, tmp_path: Path) -> None:
    weights = shared / "published" / zoo.PUBLISHED["cs2470"].file
    with pytest.raises(BadValue, match="one reading only"):
        run("import", "cs2470", weights, "-o", tmp_path / "made.onnx", "--as-published")


def test_import_of_something_else_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "song.mp3").write_bytes(b"ID3 music")
    with pytest.raises(BadModel):
        run("import", "choi2016", tmp_path / "song.mp3", "-o", tmp_path / "made.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["song.mp3"]


@pytest.mark.parametrize("args", [("alexnet", "w.h5", "-o", "m.onnx"), ("choi2016", "w.h5"), ()])
def test_import_used_wrongly_is_exit_2(args: tuple[str, ...]) -> None:
    assert run("import", *args).exit_code == 2


def test_the_kinds_of_the_command_are_those_of_the_library() -> None:
    assert tuple(models.Kind) == published.KINDS
