"""The CRNN's twin in Keras 3: the same recipe, store, batches and network, Keras's own fit.

A twin is made of a torch network (`twin`) and gives its weights back (`copy_back`); a run with it
is kept as every other, so that export, evaluation and tagging do not care who trained. Nothing
outside this folder knows Keras. Its backend is the user's choice: KERAS_BACKEND=torch, jax or
tensorflow.

network    the twin, its weights in both directions, .keras files
names      which weight of Keras is which of torch
optimiser  Adam and the schedule as torch has them
learner    what a session asks of a learner
fit        an epoch: Keras's fit over our batches
"""

from earmark.errors import BadValue, MissingExtra
from earmark.privacy import keep_private

try:
    keep_private()
    import keras
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] == "keras":
        raise MissingExtra("keras", "keras") from error
    raise BadValue(
        f"Keras asks for its backend {error.name}, which is not installed. Install it, or choose "
        "another: KERAS_BACKEND=torch"
    ) from error

from earmark.training.keras.fit import alone, epoch
from earmark.training.keras.learner import KerasLearner
from earmark.training.keras.network import copy_back, listen, save, twin

__all__ = ["KerasLearner", "alone", "copy_back", "epoch", "keras", "listen", "save", "twin"]
