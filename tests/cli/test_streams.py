"""What becomes of a command whose stdin, stdout or stderr is closed, full, or read no longer."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_model
from audio_files import tone, write_audio

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the commands are a POSIX shell's")
FULL = pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    write_audio(home / "a.flac", tone(300, seconds=1, rate=22_050), codec="flac", rate=22_050)
    tiny_model.write(home / "tiny.onnx")
    return home


def run(home: Path, command: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a shell command, in which `earmark` is ours."""
    done = subprocess.run(
        ["sh", "-c", command.replace("earmark", f"'{sys.executable}' -m earmark", 1)],
        cwd=home, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    "command", ["earmark --help", "earmark --version", "earmark tag a.flac --model tiny.onnx"]
)
@pytest.mark.parametrize("closed", [">&-", pytest.param(">/dev/full", marks=FULL)])
def test_an_answer_that_cannot_be_written_is_an_error_of_a_line(home, command, closed):
    code, _, said = run(home, f"{command} {closed}")
    assert code == 1
    assert said.startswith("error: ")
    assert "Traceback" not in said
    assert "ignored" not in said


@pytest.mark.parametrize(
    "command",
    [
        "earmark --help",
        "earmark tag a.flac a.flac a.flac --json --model tiny.onnx",
        "earmark models list",
    ],
)
def test_a_reader_that_goes_ends_the_command_without_words(home, command):
    code, _, said = run(home, f"{{ {command}; echo code $? >&2; }} | head -c 1")
    assert code == 0  # head's
    assert said in ("code 0\n", "code 1\n")  # 0: all was in the pipe before its reader went


def test_without_stderr_and_stdin_the_answer_is_the_same(home):
    _, answer, _ = run(home, "earmark tag a.flac --json --model tiny.onnx")
    assert answer.startswith("{")
    assert run(home, "earmark tag a.flac --json --model tiny.onnx <&- 2>&-") == (0, answer, "")
    # a file that is opened later must not take the place of a closed stream
    (home / "bad.mp3").touch()
    assert run(home, "earmark tag bad.mp3 --model tiny.onnx 2>&-") == (3, "", "")
    assert run(home, "earmark tag nothing.mp3 --model tiny.onnx 2>&-")[0] in (1, 3)


@pytest.mark.parametrize(
    "locale", ["LC_ALL=C.UTF-8", "LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0"]
)
def test_a_list_on_stdin_names_the_files_that_arguments_name(home, locale):
    """Also where the locale is not UTF-8 and file names hold other bytes than its letters."""
    name = "n\u00e4chste \u6b4c.flac"
    (home / name).write_bytes((home / "a.flac").read_bytes())
    words = "tag --json --model tiny.onnx"
    _, by_argument, _ = run(home, f"{locale} earmark {words} '{name}'")
    code, by_list, said = run(home, f"ls n*.flac | {locale} earmark {words} -")
    assert (code, said) == (0, "")
    assert by_list == by_argument
    assert json.loads(by_list)["seconds"] == 1.0


def test_a_closed_stdin_is_an_empty_list(home):
    code, _, said = run(home, "earmark tag - --model tiny.onnx <&-")
    assert (code, said) == (1, "error: the list on stdin is empty\n")
