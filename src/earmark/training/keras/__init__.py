"""The CRNN in Keras 3: the same recipe, store, batches, network and run, with Keras's own fit.

A Keras network is made from a torch network (`twin`) and gives its weights back (`copy_back`). Its
runs have the files of all runs, so export, evaluation and tagging treat them alike. Keras is
imported in this folder only. The user chooses its backend: KERAS_BACKEND=torch, jax or tensorflow.

network    the network, and .keras files
weights    weights between torch and Keras
optimiser  Adam and the schedule as torch computes them
learner    the training Backend of Keras: fit, and all that a step changes
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
        f"Keras cannot import its backend {error.name}. Install it, or choose another one, as in "
        "KERAS_BACKEND=torch"
    ) from error

from earmark.training.keras.learner import KerasLearner
from earmark.training.keras.network import copy_back, predict, save, twin

__all__ = ["KerasLearner", "copy_back", "keras", "predict", "save", "twin"]
