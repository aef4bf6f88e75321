"""What errors say to do is what helps where earmark was installed from."""

from __future__ import annotations

import json
from importlib import metadata
from types import SimpleNamespace

import pytest

from earmark.errors import MissingExtra


@pytest.mark.parametrize(
    ("noted", "command"),
    [
        (None, "pip install 'earmark[library]'"),
        ({"url": "file:///home/a%20b/earmark", "dir_info": {}}, "'/home/a b/earmark[library]'"),
        (
            {"url": "file:///home/earmark", "dir_info": {"editable": True}},
            "pip install -e '/home/earmark[library]'",
        ),
        (
            {"url": "https://host/earmark", "vcs_info": {"vcs": "git", "commit_id": "0"}},
            "pip install 'earmark[library] @ git+https://host/earmark'",
        ),
        (
            {"url": "https://host/earmark-1-py3-none-any.whl", "archive_info": {}},
            "pip install 'earmark[library] @ https://host/earmark-1-py3-none-any.whl'",
        ),
    ],
)
def test_an_extra_is_installed_from_where_earmark_came(monkeypatch, noted, command):
    text = None if noted is None else json.dumps(noted)
    here = SimpleNamespace(read_text=lambda name: text if name == "direct_url.json" else None)
    monkeypatch.setattr(metadata, "distribution", lambda _: here)
    message = str(MissingExtra("mutagen", "library"))
    assert message.startswith("mutagen is not installed. Run: pip install ")
    assert message.endswith(command)


def test_without_a_record_of_the_installation_it_is_the_index(monkeypatch):
    def missing(_):
        raise metadata.PackageNotFoundError

    monkeypatch.setattr(metadata, "distribution", missing)
    assert str(MissingExtra("ray", "ray")).endswith("Run: pip install 'earmark[ray]'")
