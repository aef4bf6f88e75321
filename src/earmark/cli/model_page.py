"""A model's card as text for the terminal; `--json` prints all of it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from earmark.tags import group, meaning, place_of_group

if TYPE_CHECKING:
    from earmark.model_file import Card

_MARGIN = 14  # characters, of the names of the rows
# keys of a training record that have their own sentence here, or are left out
_NAMED = {"recipe", "framework", "data", "parameters", "epoch", "processes"}


def page(card: Card, facts: Mapping[str, Any], *, tags: bool, width: int) -> Iterator[str]:
    """The lines of a page.

    facts : path, bytes and sha256 of the model's file
    tags : a row for each tag, in place of their names
    width : characters of a line
    """
    features = card.features
    yield card.name
    yield from textwrap.wrap(card.description, width)
    yield ""
    rows = {
        "file": f"{facts['path']} ({facts['bytes'] / 1e6:.1f} MB, format {card.format_version})",
        "sha256": facts["sha256"],
        "licence": card.licence,
        "source": card.source,
        "hears": f"{features.seconds:.2f} s at {features.rate:,} Hz as {features.n_mels} "
        f"{features.mel_scale} mels of {features.f_min:g} to {features.f_max:g} Hz "
        f"(features {features.name})",
        "training": _training(card.training),
        "calibrated": _calibrated(card),
    }
    for name, words in rows.items():
        yield from _row(name, words, width)
    yield from _figures(card.training)
    yield ""
    if tags:
        yield from _table(card, width)
    else:
        yield from _groups(card, width)
        yield ""
        yield "--tags shows meaning and reliability of each tag, --json the whole card."


def _row(name: str, words: str, width: int) -> list[str]:
    return textwrap.wrap(
        words, width, initial_indent=f"{name:{_MARGIN}}", subsequent_indent=" " * _MARGIN,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def _training(record: Mapping[str, Any]) -> str:
    """The training record in words: what earmark writes as phrases, other keys by their names."""
    words = []
    recipe, data, framework = (record.get(key) for key in ("recipe", "data", "framework"))
    if isinstance(recipe, Mapping) and "name" in recipe:
        words.append(f"recipe {recipe['name']}")
        if recipe.get("init"):
            words.append(f"from the weights in {recipe['init']}")
    if isinstance(data, Mapping) and "n_train" in data:
        valid = f" and validated on {data['n_valid']:,}" if data.get("n_valid") else ""
        words.append(f"learned from {data['n_train']:,} songs{valid}")
    if "epoch" in record:
        words.append(f"the weights of epoch {record['epoch']}")
    if "parameters" in record:
        words.append(f"{record['parameters']:,} parameters")
    if isinstance(framework, Mapping) and "name" in framework:
        words.append(f"with {framework['name']}")
    words += [
        f"{key.replace('_', ' ')} {f'{value:.2g}' if isinstance(value, float) else value}"
        for key, value in record.items()
        if key not in _NAMED and isinstance(value, str | int | float) and "sha256" not in key
    ]
    return ", ".join(words) or "not stated in the file"


def _calibrated(card: Card) -> str:
    if card.calibration is None:
        return "no tags: scores are the network's own"
    n = sum(map(card.is_calibrated, range(len(card.tags))))
    return f"{n} of {len(card.tags)} tags: their scores are probabilities"


def _figures(record: Mapping[str, Any]) -> Iterator[str]:
    """What was measured: on held-out folds, or on the validation songs."""
    folds, validation = record.get("held_out_folds"), record.get("validation")
    if isinstance(folds, Mapping):
        rows = [(name, of) for name, of in folds.items() if "roc_auc" in of]
        yield ""
        yield f"{'on artists outside the training data':38}{'ROC-AUC, macro':24}AP, macro"
        for name, of in rows:
            cells = (_interval(of.get(key)) for key in ("roc_auc", "average_precision"))
            yield f"  {name:32}" + "".join(f"{cell:24}" for cell in cells).rstrip()
    if isinstance(validation, Mapping):
        yield ""
        yield f"on {validation.get('n_tracks', '?')} validation songs"
        for key, value in validation.items():
            if isinstance(value, float):
                yield f"  {key.replace('_', ' '):32}{value:.3f}"


def _interval(values: Any) -> str:
    mean, low, high = values or (None,) * 3
    return "-" if mean is None else f"{mean:.3f} ({low:.3f} to {high:.3f})"


def _groups(card: Card, width: int) -> Iterator[str]:
    """The tags' names, group by group."""
    yield f"{sum(group(tag) != 'sound' for tag in card.tags)} tags"
    groups = sorted({group(tag) for tag in card.tags}, key=place_of_group)
    for name in groups:
        names = [tag for tag in card.tags if group(tag) == name]
        yield from _row(name, ", ".join(names), width)


def _table(card: Card, width: int) -> Iterator[str]:
    """A row for each tag, group by group, the most reliable first."""
    unknown = (None,) * len(card.tags)
    reliability, priors = card.reliability or unknown, card.priors or unknown
    measured = card.training.get("measured")
    measured = measured if isinstance(measured, Mapping) else {}
    columns = sorted(
        range(len(card.tags)),
        key=lambda i: (place_of_group(group(card.tags[i])), -(reliability[i] or 0)),
    )
    yield f"{'tag':22}{'prior':>8}{'calibrated':>12}  {'reliability':32}group"
    for i in columns:
        tag, prior = card.tags[i], priors[i]
        share = "-" if prior is None else f"{prior:.4f}"
        fitted = "yes" if card.is_calibrated(i) else "-"
        trust = _trust(reliability[i], measured.get(tag))
        yield f"{tag:22}{share:>8}{fitted:>12}  {trust:32}{group(tag)}"
        if meaning(tag):
            yield from textwrap.wrap(
                meaning(tag), width, initial_indent="    ", subsequent_indent="    "
            )
    yield ""
    yield "prior: share of songs with the tag in the training data; - if not known"
    yield "calibrated: of all songs with the score .3, three in ten have the tag"
    yield "reliability: ROC-AUC on songs outside the training data, with its 95 % interval"
    yield "and the number of songs with the tag where these are known; - if not measured"


def _trust(reliability: float | None, measured: Any) -> str:
    """The reliability of a tag, with what the training record says of its measurement."""
    if reliability is None:
        return "-"
    if not isinstance(measured, Mapping) or not {"interval", "positives"} <= measured.keys():
        return f"{reliability:.2f}"
    low, high = measured["interval"]
    return f"{reliability:.2f} ({low:.2f} to {high:.2f}), {measured['positives']} songs"
