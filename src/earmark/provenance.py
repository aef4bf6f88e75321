"""The commit that this earmark runs from, for the records of measurements."""

from __future__ import annotations

import subprocess
from pathlib import Path


def commit() -> str | None:
    """The commit of the checkout that this earmark runs from; None outside a git checkout.

    A "+" at its end means that files have changed since that commit.
    """
    source = Path(__file__).parent

    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", "-C", source, *words], capture_output=True, text=True, timeout=30, check=True
        )
        return done.stdout.strip()

    try:
        name = git("rev-parse", "HEAD")
        tracked = git("ls-files", "--error-unmatch", str(Path(__file__)))
        changed = git("status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return None  # no git, or an installed earmark
    return name + ("+" if changed else "") if tracked else None
