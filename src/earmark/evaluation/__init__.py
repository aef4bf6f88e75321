"""Evaluation: how well a model's scores agree with known tags.

The names below are the public ones; a module is loaded when its first name is used.

run                  all that `earmark evaluate` does, in one call
scores, columns      a model's scores of a store or a catalog, beside the labels of the same tags
measures, mistakes   every number with its interval; confused tags and the worst scores
compare              two models on the same songs
probe                what a model's embeddings hold of the tags of a store
robustness           scores of distorted audio (distortions)
score_table          the scores of each song, as Parquet or CSV
report, plots        report.html and report.json
learning_curve       ROC-AUC against the number of training songs
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from earmark.lazy_names import lazy_names

if TYPE_CHECKING:
    from earmark.evaluation.compare import compare_scores
    from earmark.evaluation.measures import measure
    from earmark.evaluation.probe import ProbeOptions, probe_model
    from earmark.evaluation.report import write_report
    from earmark.evaluation.run import EvaluationOptions, EvaluationSongs, evaluate_models
    from earmark.evaluation.score_table import write_scores
    from earmark.evaluation.scores import ScoredSongs, score_catalog, score_store

_HOME = {
    "EvaluationOptions": "run",
    "EvaluationSongs": "run",
    "ProbeOptions": "probe",
    "ScoredSongs": "scores",
    "compare_scores": "compare",
    "evaluate_models": "run",
    "measure": "measures",
    "probe_model": "probe",
    "score_catalog": "scores",
    "score_store": "scores",
    "write_report": "report",
    "write_scores": "score_table",
}

__all__ = [
    "EvaluationOptions",
    "EvaluationSongs",
    "ProbeOptions",
    "ScoredSongs",
    "compare_scores",
    "evaluate_models",
    "measure",
    "probe_model",
    "score_catalog",
    "score_store",
    "write_report",
    "write_scores",
]

if not TYPE_CHECKING:  # so that mypy refuses names that are not there
    __getattr__ = lazy_names(__name__, _HOME)


def __dir__() -> list[str]:
    return __all__
