"""The summary of a plan, or of what became of it, in few lines for any number of files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from earmark.counted import counted
from earmark.errors import UnwritableTags
from earmark.library.writing.fields import GENRE, MOOD, SCORES
from earmark.library.writing.write import TagChange, UnwritableFile

_NAMED = 8  # values and reasons that a line names before it only counts the others
_REASONS = 2  # lines of reasons at most


def _files(number: int) -> str:
    return counted(number, "file")


class PlanSummary:
    """Counts the files of a plan."""

    def __init__(self) -> None:
        self.n_changed = self.n_unchanged = self.n_refused = self.n_scores = 0
        self.added: dict[str, Counter[str]] = {GENRE: Counter(), MOOD: Counter()}
        self.filled: Counter[str] = Counter()  # fields that change, in how many files
        self.kept: Counter[str] = Counter()  # fields that have a value and keep it
        self.unsure: Counter[str] = Counter()  # fields that have none and get none
        self.reasons: Counter[str] = Counter()
        self.examples: dict[str, str] = {}

    def add(self, change: TagChange | UnwritableFile) -> None:
        """Count one file."""
        if isinstance(change, UnwritableFile):
            self.n_refused += 1
            error = change.error
            reason = error.reason if isinstance(error, UnwritableTags) else str(error)
            reason = reason.split(". ")[0]
            self.reasons[reason] += 1
            self.examples.setdefault(reason, str(change.song.path))
            return
        self.n_changed += bool(change.after)
        self.n_unchanged += not change.after
        self.n_scores += SCORES in change.after
        for field, added in self.added.items():
            if field in change.after:
                self.filled[field] += 1
                added.update(set(change.after[field]) - set(change.before[field]))
            elif field in change.kept:
                self.kept[field] += 1
            else:
                self.unsure[field] += 1

    def lines(self, left_out: Mapping[str, int], *, written: bool) -> list[str]:
        """At most nine lines.

        left_out : kind of sound -> how many files are no music and were left out
        written : whether the plan was carried out
        """
        changed = "written" if written else "would change"
        lines = [f"{_files(self.n_changed)} {changed}, {self.n_unchanged:,} need no change"]
        for field, added in self.added.items():
            if self.filled[field]:
                lines.append(f"{field}: in {_files(self.filled[field])}: {_most(added)}")
        if self.n_scores:
            lines.append(f"scores: in {_files(self.n_scores)}, as {SCORES}")
        if self.kept:
            lines.append(
                f"already there: {_by_field(self.kept)}; --merge adds to them, --replace replaces "
                "them"
            )
        if self.unsure:
            lines.append(
                f"too unsure: {_by_field(self.unsure)}; `min` in the settings says what is sure"
            )
        if left_out:
            lines.append(
                f"not music: {_files(sum(left_out.values()))} ({_most(Counter(left_out))}), "
                "skipped; --doubted writes to them"
            )
        for reason, number in self.reasons.most_common(_REASONS):
            lines.append(
                f"cannot be written: {_files(number)}, such as {self.examples[reason]}: {reason}"
            )
        n_others = self.n_refused - sum(n for _, n in self.reasons.most_common(_REASONS))
        if n_others:
            lines[-1] += f"; {_files(n_others)} for other reasons, which --list shows"
        return lines


def _most(counts: Counter[str]) -> str:
    """The most frequent values with their numbers, and how many others there are."""
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))  # the same in each run
    named = ", ".join(f"{name} {number:,}" for name, number in ranked[:_NAMED])
    n_others = len(counts) - _NAMED
    return f"{named}, and {n_others:,} others" if n_others > 0 else named


def _by_field(counts: Counter[str]) -> str:
    return " and ".join(f"a {field} in {_files(number)}" for field, number in counts.items())
