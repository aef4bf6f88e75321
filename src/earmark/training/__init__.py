"""Training a tagger on a store, and making it a model file. The only home of torch."""

from importlib.util import find_spec

from earmark.errors import MissingExtra

for _library, _distribution in (("torch", "torch"), ("pydantic", "pydantic")):
    if find_spec(_library) is None:
        raise MissingExtra(_distribution, "train")
