"""Matching the tags of the data to the tags of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from earmark import tags
from earmark.errors import BadValue


@dataclass(frozen=True)
class Columns:
    """Which columns of the data belong to which tag of the model.

    of_model : {column of the model: columns of the data}, rising; a song carries the model's tag
        if it carries one of the data's
    only_data : the data's tags that the model does not know
    """

    of_model: dict[int, list[int]]
    only_data: tuple[str, ...]

    @classmethod
    def of(
        cls, model_tags: Sequence[str], data_tags: Sequence[str], same: Mapping[str, str]
    ) -> Columns:
        """Match tags by name, upper or lower case, and by `same` {data: model}.

        Raises BadValue for unknown names in `same`, and where model and data share no tag.
        """
        meaning = {tags.index(data_tags, name): other for name, other in same.items()}
        for other in same.values():
            tags.index(model_tags, other)  # refuses what the model does not know
        place = {tag.casefold(): i for i, tag in reversed(list(enumerate(model_tags)))}
        found: dict[int, list[int]] = {}
        only_data = []
        for column, tag in enumerate(data_tags):
            of_model = place.get(meaning.get(column, tag).casefold())
            if of_model is None:
                only_data.append(tag)
            else:
                found.setdefault(of_model, []).append(column)
        if not found:
            raise BadValue(
                f"the model and the data have no tag in common. The model knows "
                f"{_some(model_tags)}; the data {_some(data_tags)}. If two of them mean the same, "
                "give --same DATA_TAG=MODEL_TAG"
            )
        return cls(dict(sorted(found.items())), tuple(only_data))


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
