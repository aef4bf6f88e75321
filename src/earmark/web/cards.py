"""A model's card as the page reads it, with a row for each tag."""

from __future__ import annotations

from earmark import tags
from earmark.files import Json
from earmark.model_file import Card


def as_json(card: Card, *, sha256: str, runtime: str) -> Json:
    """A model of /api/models.

    sha256 : of the model file; runtime : what runs it
    """
    reliability = card.reliability or (None,) * len(card.tags)
    priors = card.priors or (None,) * len(card.tags)
    columns = zip(card.tags, priors, reliability, strict=True)
    return {
        "name": card.name,
        "sha256": sha256,
        "description": card.description,
        "source": card.source,
        "licence": card.licence,
        "runtime": runtime,
        "calibrated": card.calibration is not None,
        "features": card.features.to_dict(),
        "tags": [
            {
                "tag": tag,
                "group": tags.group(tag),
                "meaning": tags.meaning(tag),
                "calibrated": card.is_calibrated(column),
                "prior": prior and round(prior, 6),
                "reliability": reliable,
            }
            for column, (tag, prior, reliable) in enumerate(columns)
        ],
    }
