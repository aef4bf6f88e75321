"""`earmark data previews` and its companions as processes: exit codes, signals, kills."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from music_service import MusicService, ServedSong, says, status, tone

from earmark.cli import main
from earmark.data.catalog.catalog import Catalog, Song, write_catalog
from earmark.data.previews.download import preview_status
from earmark.data.previews.entry import State
from earmark.data.previews.folder import working_on
from earmark.data.previews.ledger import Ledger
from earmark.data.previews.options import Part
from earmark.data.previews.sources.deezer import Deezer
from earmark.data.previews.sources.itunes import ITunes

N = 60
Run = Callable[..., "Said"]


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "earmark", "data", *map(str, words)]


class Said(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command in this process: with its exit code, without the second that Python takes."""

    def run(*words: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["earmark", "data", *map(str, words)])
        capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        return Said(code, *capsys.readouterr())

    return run


def previews(catalog: Path, folder: Path, service: MusicService, *more: object) -> list[object]:
    return [
        "previews", catalog, "-o", folder, "--source", "itunes", "--accept-terms",
        "--endpoint", service.url, "--rate", 100_000, "--cooldown", 0.05, *more,
    ]  # fmt: skip


def name(i: int) -> tuple[str, str]:
    return f"Artist{i} & Sons", f"Title{i}, #1"


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    path = tmp_path / "catalog.parquet"
    songs = [Song(f"TR{i:03}", *name(i)) for i in range(N)]
    write_catalog(Catalog.from_songs(songs, tags=[]), path)
    return path


def service_of(n: int) -> MusicService:
    return MusicService([ServedSong(i, *name(i)) for i in range(n)])


def states(folder: Path) -> dict[str, int]:
    found = preview_status(folder).as_json()["states"]
    return {state: n for state, n in found.items() if n}


def wait_until(folder: Path, n: int) -> None:
    """Until there are so many previews."""
    for _ in range(3000):
        if len(list(folder.glob("audio/[!.]*"))) >= n:
            return
        time.sleep(0.01)
    raise AssertionError("the run does not get on")


def slowly(service: MusicService) -> None:
    """A hundredth of a second for every request, so that a run can be met in the middle."""

    def wait(_: object) -> None:
        time.sleep(0.01)

    service.fault = wait  # type: ignore[assignment]


def test_a_catalog_becomes_a_folder_of_previews(run: Run, catalog: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    with service_of(N - 2) as service:
        said = run(*previews(catalog, folder, service, "--json"))
    assert said.returncode == 0, said.stderr
    printed: dict[str, Any] = json.loads(said.stdout)
    assert printed["total"] == N
    assert {state: n for state, n in printed["states"].items() if n} == {
        "downloaded": N - 2, "no_result": 2,
    }  # fmt: skip
    assert (folder / "audio" / "TR005.wav").read_bytes() == tone(5)
    table = run("status", folder)
    assert re.search(r"downloaded +58 +96\.7 %\n", table.stdout)
    assert table.returncode == 0


def test_itunes_needs_its_terms_accepted_by_flag_or_setting(
    run: Run, monkeypatch: pytest.MonkeyPatch, catalog: Path, tmp_path: Path
) -> None:
    words = ("previews", catalog, "-o", tmp_path / "out", "--source", "itunes")
    refused = run(*words)
    assert refused.returncode == 1
    assert "streamed" in refused.stderr
    assert "promote" in refused.stderr
    assert not (tmp_path / "out").exists()
    with service_of(N) as service:
        monkeypatch.setenv("EARMARK_ACCEPT_ITUNES_TERMS", "1")
        said = run(*words, "--endpoint", service.url, "--rate", 0, "--part", "1/10")
    assert said.returncode == 0, said.stderr


@pytest.mark.slow
def test_three_kills_and_two_parts_lose_nothing_and_double_nothing(
    run: Run, catalog: Path, tmp_path: Path
) -> None:
    parts = [tmp_path / "part-1", tmp_path / "part-2"]
    n_kills = 0
    with service_of(N) as service:
        slowly(service)
        for number, folder in enumerate(parts, start=1):
            words = command(*previews(catalog, folder, service, "--part", f"{number}/2"))
            for n_files in (5, 15) if number == 1 else (10,):
                process = subprocess.Popen(words, stderr=subprocess.DEVNULL)
                wait_until(folder, n_files)
                process.send_signal(signal.SIGKILL)
                n_kills += process.wait() == -signal.SIGKILL
            said = subprocess.run(words, capture_output=True, text=True)
            assert said.returncode == 0, said.stderr
            assert sum(states(folder).values()) == sum(
                f"TR{i:03}" in Part(number, 2) for i in range(N)
            )
    assert n_kills == 3
    merged = run("merge", *parts, "-o", tmp_path / "all", "--json")
    assert merged.returncode == 0, merged.stderr
    assert json.loads(merged.stdout) == {"songs": N, "copied": N, "damaged": []}
    files = {path.name: path.read_bytes() for path in (tmp_path / "all" / "audio").iterdir()}
    assert files == {f"TR{i:03}.wav": tone(i) for i in range(N)}
    assert states(tmp_path / "all") == {"downloaded": N}


def test_status_knows_at_once_that_a_run_is_dead(run: Run, catalog: Path, tmp_path: Path) -> None:
    with service_of(N) as service:
        slowly(service)
        words = command(*previews(catalog, tmp_path / "out", service))
        with subprocess.Popen(words, stderr=subprocess.DEVNULL) as process:
            try:
                wait_until(tmp_path / "out", 5)
                assert json.loads(run("status", tmp_path / "out", "--json").stdout)["running"]
                second = run(*previews(catalog, tmp_path / "out", service))
                assert second.returncode == 1
                assert f"another run works on {tmp_path / 'out'}" in second.stderr
            finally:
                process.kill()
        assert not json.loads(run("status", tmp_path / "out", "--json").stdout)["running"]
        assert "no run is at work" in run("status", tmp_path / "out").stdout


@pytest.mark.parametrize(("sign", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_run_in_order(
    run: Run, catalog: Path, tmp_path: Path, sign: signal.Signals, code: int
) -> None:
    folder = tmp_path / "out"
    with service_of(N) as service:
        slowly(service)
        process = subprocess.Popen(
            command(*previews(catalog, folder, service)), stderr=subprocess.PIPE, text=True
        )
        wait_until(folder, 10)
        process.send_signal(sign)
        _, said = process.communicate(timeout=30)
        assert process.returncode == code
        assert said == "stopped; run the same command again to go on\n"
        assert not list(folder.glob("audio/.*"))  # nothing half done
        with Ledger.open(folder / "ledger.sqlite") as ledger:
            n_downloaded = ledger.counts()[State.DOWNLOADED]
            assert ledger.take_over() == 0  # no lease is left
        assert 0 < n_downloaded < N
        assert not list(folder.glob("ledger.sqlite-*"))
        service.fault = lambda _: None
        assert run(*previews(catalog, folder, service)).returncode == 0
    assert states(folder) == {"downloaded": N}


def test_failures_are_exit_code_3_and_retry_takes_them_again(
    run: Run, catalog: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    with service_of(N) as service:
        service.fault = lambda asked: (
            says(b"no audio") if asked.kind == "preview" and asked.subject == "7" else None
        )
        said = run(*previews(catalog, folder, service))
        assert said.returncode == 3
        assert "to take the failed songs again: earmark data retry" in said.stderr
        assert states(folder) == {"downloaded": N - 1, "failed_retry": 1}
        service.fault = lambda _: None
        refused = run("retry", folder)  # the ledger may be someone else's
        assert refused.returncode == 1
        assert f"add --endpoint {service.url}" in refused.stderr
        assert run("retry", folder, "--endpoint", service.url).returncode == 0
    assert states(folder) == {"downloaded": N}


def test_a_service_that_only_rejects_is_an_error_and_no_outcome(
    run: Run, catalog: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    with service_of(N) as service:
        service.fault = lambda _: status(403)
        said = run(*previews(catalog, folder, service, "--cooldown", 0.01, "--patience", 5))
    assert said.returncode == 1
    assert said.stderr.startswith("error: 127.0.0.1")
    assert states(folder) == {"pending": N}


def test_rematch_needs_no_service(run: Run, catalog: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    with service_of(N) as service:
        assert run(*previews(catalog, folder, service, "--part", "1/4")).returncode == 0
    said = run("rematch", folder, "--json")
    assert (said.returncode, json.loads(said.stdout)) == (0, {"changed": []})


def test_a_second_run_on_a_folder_is_an_error(run: Run, catalog: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    with service_of(1) as service, working_on(folder):
        said = run(*previews(catalog, folder, service))
    assert said.returncode == 1
    assert said.stderr.startswith("error: another run works on")


@pytest.mark.parametrize("words", [("status",), ("retry",), ("rematch",)])
def test_a_folder_without_a_ledger_is_an_error(run: Run, tmp_path: Path, words: tuple[str]) -> None:
    said = run(*words, tmp_path)
    assert said.returncode == 1
    assert "there is no ledger" in said.stderr
    assert "Traceback" not in said.stderr


def test_a_part_or_catalog_that_is_none_is_an_error(
    run: Run, catalog: Path, tmp_path: Path
) -> None:
    words = ("-o", tmp_path / "out", "--source", "deezer")
    assert "error: part '3/2'" in run("previews", catalog, *words, "--part", "3/2").stderr
    said = run("previews", tmp_path / "nothing", *words)
    assert said.returncode == 1
    assert said.stderr.startswith("error: cannot read the catalog")
    assert not (tmp_path / "out").exists()


def test_the_help_tells_the_rates_that_the_sources_have(run: Run) -> None:
    said = " ".join(
        run("previews", "--help").stdout.replace("\N{BOX DRAWINGS LIGHT VERTICAL}", "").split()
    )
    assert f"{ITunes.per_minute:g} for itunes and {Deezer.per_minute:g} for deezer" in said


def test_a_cooldown_of_nothing_still_ends(run: Run, catalog: Path, tmp_path: Path) -> None:
    with service_of(N) as service:
        service.fault = lambda asked: (
            status(500) if asked.kind == "preview" and asked.subject == "7" else None
        )
        said = run(*previews(catalog, tmp_path / "out", service, "--cooldown", 0))
    assert said.returncode == 3
    assert states(tmp_path / "out") == {"downloaded": N - 1, "failed_permanent": 1}
