"""Evaluation: how well a model's scores agree with known tags.

The names below are the public ones; a module is loaded when its first name is used.

run                  all that `earmark evaluate` does, in one call
scores, columns      a model's scores of a store or a catalog, beside the labels of the same tags
measures, mistakes   every number with its interval; confused tags and the worst scores
compare              two models on the same songs
robustness           scores of distorted audio (distortions)
report, plots        report.html and report.json
learning_curve       ROC-AUC against the number of training songs
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from earmark.evaluation.compare import compare_scores
    from earmark.evaluation.measures import measure
    from earmark.evaluation.report import write_report
    from earmark.evaluation.run import EvaluationOptions, EvaluationSongs, evaluate_models
    from earmark.evaluation.scores import ScoredSongs, score_catalog, score_store

_HOME = {
    "EvaluationOptions": "run",
    "EvaluationSongs": "run",
    "ScoredSongs": "scores",
    "compare_scores": "compare",
    "evaluate_models": "run",
    "measure": "measures",
    "score_catalog": "scores",
    "score_store": "scores",
    "write_report": "report",
}

__all__ = [
    "EvaluationOptions",
    "EvaluationSongs",
    "ScoredSongs",
    "compare_scores",
    "evaluate_models",
    "measure",
    "score_catalog",
    "score_store",
    "write_report",
]


def __getattr__(name: str) -> Any:
    """Load the module behind a public name when it is first used (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
