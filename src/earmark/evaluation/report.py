"""The report of an evaluation: one HTML page without other files, and the same numbers as JSON."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Collection, Iterable, Sequence
from html import escape
from pathlib import Path

from earmark import files
from earmark.evaluation import plots
from earmark.evaluation.scores import ScoredSongs
from earmark.files import Json
from earmark.metrics import FEW

PAGE, NUMBERS = "report.html", "report.json"

_MEANS = (
    ("macro", "ci", "mean over tags (macro)"),
    ("micro", "micro_ci", "all pairs of song and tag (micro)"),
    ("samples", "samples_ci", "mean over songs (samples)"),
)
_STYLE = """
:root { color-scheme: light dark; --line: #8884; --bar: #2456a6; --soft: #8888; }
body { font: 15px/1.45 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2.2rem }
table { border-collapse: collapse; width: 100% } th { font-weight: 600 }
td, th { padding: .18rem .6rem; border-bottom: 1px solid var(--line); text-align: right }
td:first-child, th:first-child { text-align: left; overflow-wrap: anywhere }
img { max-width: 100%; background: #fff } code { overflow-wrap: anywhere }
svg { width: 14rem; height: .8rem; display: block }
.few { opacity: .5 } .note { opacity: .75 } .wide { overflow-x: auto }
"""


def write_report(folder: str | Path, result: Json, scored: Sequence[ScoredSongs]) -> None:
    """Write FOLDER/report.html and FOLDER/report.json.

    result : of evaluate_models, for one model or two; scored : what it was made from
    """
    folder = Path(folder)
    files.write_json(folder / NUMBERS, result)
    files.write_text(folder / PAGE, page(result, scored))


def page(result: Json, scored: Sequence[ScoredSongs]) -> str:
    """The HTML of a report. Every name in it is escaped, and it asks for nothing from outside."""
    if "difference" in result:
        both = [result | result[key] for key in ("a", "b")]  # with what both share
        title = f"{both[1]['model']} against {both[0]['model']}"
        body = [
            "<h2>The second minus the first</h2>",
            _difference(result["difference"], few=both[0]["tags_with_few_songs"]),
            *(part for one, of in zip(both, scored, strict=True) for part in _model(one, of)),
        ]
    else:
        title = f"{result['model']} on {result['n_tracks']} songs"
        body = _model(result, scored[0])
    digest = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n"
        f"<body><h1>{escape(title)}</h1>\n" + "\n".join(body) + "\n</body></html>\n"
    )


def _model(result: Json, scored: ScoredSongs) -> list[str]:
    scored = scored.measurable()
    parts = [
        f"<h2>{escape(result['model'])}</h2>",
        _record(result),
        _summary(result),
        _note(
            "Papers report macro. Samples looks better than it is: the last column shows what the "
            "priors alone reach, with no sound heard. Intervals are 95 %, about each number, by "
            f"the spread of {result['n_replicates']} draws of songs. Average precision is the step "
            "sum; a model that guesses reaches the share of songs that carry a tag."
        ),
        "<h2>ROC and precision-recall curves</h2>",
        _image(plots.curves(scored), "Curves of every tag, thin, and of their mean, thick"),
        _note("Every tag is a thin line; the thick one is their mean."),
        "<h2>Tag by tag</h2>",
        _tags(result),
    ]
    if few := result["tags_with_few_songs"]:
        parts.append(_note(f"Grey: {few_words(len(few), result['n_tags'])}."))
    for key, words in (
        ("skipped_tags", "Left out, because all songs carry them or none does"),
        ("tags_only_in_model", "Only the model knows"),
        ("tags_only_in_data", "Only the data know"),
    ):
        if result[key]:
            parts.append(_note(f"{words}: {', '.join(result[key])}."))
    errors = result["calibration_error"]
    parts += [
        "<h2>Calibration</h2>",
        _image(plots.calibration(scored), "Calibration curve"),
        _note(
            f"Expected calibration error: {errors['before']:.4f} before the model's calibration, "
            f"{errors['after']:.4f} as shipped."
        ),
        "<h2>True tags among the first k</h2>",
        _precisions(result["precision_at_k"]),
        "<h2>Confused tags</h2>",
        _note(
            "If n songs carry a tag, it counts as heard in the n songs with its highest scores. "
            "Share: how many of the songs with the first tag, but without the second, have the "
            "second heard. Of all songs: the same, for all songs without the second tag."
        ),
        _table(
            ("the song has", "heard as well", "share", "of all songs", "songs"),
            (
                (one["tag"], one["heard"], *_numbers(one["share"], one["expected"]), one["tracks"])
                for one in result["confusions"]
            ),
        ),
    ]
    if "robustness" in result:
        parts += ["<h2>The same music, distorted</h2>", _robustness(result["robustness"])]
    return [*parts, "<h2>The worst mistakes</h2>", *_mistakes(result, scored), _failures(result)]


def _record(result: Json) -> str:
    keys = (
        "model_file", "model_sha256", "runtime", "store", "catalog", "data_sha256", "split",
        "n_tracks", "n_tags", "n_unlabelled", "n_failed", "seed", "earmark", "commit", "command",
    )  # fmt: skip
    return _table(("what", "value"), ((key, result[key]) for key in keys if key in result))


def _summary(result: Json) -> str:
    rows = []
    for average, key, words in _MEANS:
        auc, precision = result["roc_auc"], result["average_precision"]
        floor = (
            result["nothing_heard"][name][average] for name in ("roc_auc", "average_precision")
        )
        rows.append(
            (
                words,
                *_numbers(auc[average]), _ends(auc[key]),
                *_numbers(precision[average]), _ends(precision[key]),
                " / ".join(_numbers(*floor)),
            )
        )  # fmt: skip
    head = ("", "ROC-AUC", "95 %", "average precision", "95 %", "priors alone, both")
    return _table(head, rows)


def few_words(n_few: int, n_tags: int) -> str:
    """What is to be said of tags in `tags_with_few_songs`."""
    return (
        f"{n_few} of {n_tags} tags have fewer than {FEW} songs with or without them; each of these "
        "numbers may be chance, and its interval is too narrow"
    )


def by_tag(result: Json) -> list[tuple[Json, bool]]:
    """(row of `per_tag`, whether it has few songs), the best first, those with few songs last."""
    few = set(result["tags_with_few_songs"])
    rows = [(row, row["tag"] in few) for row in result["per_tag"]]
    return sorted(rows, key=lambda one: (one[1], -(one[0]["roc_auc"] or 0)))


def _tags(result: Json) -> str:
    body = "".join(
        f"<tr{' class=few' if few else ''}><td>{escape(row['tag'])}</td><td>{row['positives']}</td>"
        f"<td>{_numbers(row['roc_auc'])[0]}</td><td>{_ends(row['ci'])}</td>"
        f"<td>{_bar(row['roc_auc'], row['ci'])}</td>"
        f"<td>{_numbers(row['average_precision'])[0]}</td></tr>\n"
        for row, few in by_tag(result)
    )
    head = _head(("tag", "songs", "ROC-AUC", "95 %", "from .5 to 1", "average precision"))
    return f'<div class="wide"><table>{head}{body}</table></div>'


def _bar(value: float | None, ci: Sequence[float | None]) -> str:
    """A bar from .5 to the value with its interval as a line, on a scale from 0 to 1."""
    if value is None:
        return ""
    places = [min(max(2 * ((end or 0.5) - 0.5), 0), 1) * 200 for end in (value, *ci)]
    bar, low, high = (f"{place:.1f}" for place in places)
    return (
        '<svg viewBox="0 0 200 10" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect width="{bar}" height="10" fill="var(--bar)" opacity=".6"/>'
        f'<line x1="{low}" x2="{high}" y1="5" y2="5" stroke="currentColor" stroke-width="2"/></svg>'
    )


def _precisions(precisions: Json) -> str:
    ks = list(next(iter(precisions.values())))
    return _table(
        ("tags sorted by", *(f"first {k}" for k in ks)),
        ((by, *_numbers(*values.values())) for by, values in precisions.items()),
    )


def _difference(difference: Json, *, few: Collection[str]) -> str:
    def row(words: str, one: Json) -> tuple[str, ...]:
        cells = [words]
        for name in ("roc_auc", "average_precision"):
            cells += [*_numbers(one[name]["difference"], sign=True), _ends(one[name]["ci"])]
        return tuple(cells)

    names = ("roc_auc", "average_precision")
    means = [
        row(words, {name: difference[name][average] for name in names})
        for average, _, words in _MEANS
    ]
    head = ("", "ROC-AUC", "95 %", "average precision", "95 %")
    tags = [row(one["tag"], one) for one in difference["per_tag"]]
    tags.sort(key=lambda cells: cells[0] in few)
    return _table(head, [*means, *tags], grey=few)


def _robustness(conditions: list[Json]) -> str:
    return _table(
        ("heard through", "mean score difference", "largest", "macro ROC-AUC", "macro AP"),
        (
            (
                one["condition"],
                *_numbers(one["score_difference"], one["largest_difference"]),
                *_numbers(one["roc_auc"], one["average_precision"]),
            )
            for one in conditions
        ),
    )


def _mistakes(result: Json, scored: ScoredSongs) -> Iterable[str]:
    yield _note("Many are mistakes of the labels: few songs carry every tag that fits them.")
    for one in result["worst_mistakes"]:
        has = "carries" if one["carried"] else "does not carry"
        yield (
            f"<p><b>{escape(one['id'])}</b> {has} <b>{escape(one['tag'])}</b>, which has the score "
            f"{one['score']:.4f}. Its tags: {escape(', '.join(one['tags']) or 'none')}.<br>"
            f"{_image(plots.spectrogram(scored.spectrogram(one['place'])), 'Spectrogram')}</p>"
        )


def _failures(result: Json) -> str:
    if not result["failures"]:
        return ""
    rows = ((one["path"], one["error"]["message"]) for one in result["failures"])
    return "<h2>Songs that could not be heard</h2>" + _table(("song", "why"), rows)


def _table(
    head: Sequence[str], rows: Iterable[Sequence[object]], *, grey: Collection[str] = ()
) -> str:
    """A table; grey : what stands first in the rows that are shown in grey."""
    body = "".join(
        f"<tr{' class=few' if row[0] in grey else ''}>"
        + "".join(f"<td>{escape(str(cell))}</td>" for cell in row)
        + "</tr>\n"
        for row in rows
    )
    return f'<div class="wide"><table>{_head(head)}{body}</table></div>'


def _head(names: Sequence[str]) -> str:
    return "<tr>" + "".join(f"<th>{escape(name)}</th>" for name in names) + "</tr>\n"


def _image(address: str, words: str) -> str:
    return f'<img src="{address}" alt="{escape(words)}">'


def _note(words: str) -> str:
    return f'<p class="note">{escape(words)}</p>'


def _numbers(*values: float | None, sign: bool = False) -> list[str]:
    return ["-" if v is None else f"{v:+.4f}" if sign else f"{v:.4f}" for v in values]


def _ends(ci: Sequence[float | None]) -> str:
    return " to ".join(_numbers(*ci))
