"""The CRNN's twin in Keras 3: the same recipe, store, batches and network, Keras's own fit.

A twin is made of a torch network (`twin`) and gives its weights back (`copy_back`); a run with it
is kept as every other, so that export, evaluation and tagging do not care who trained. This is the
one file that knows Keras. Its backend is the user's choice: KERAS_BACKEND=torch, jax or tensorflow.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from earmark.data.exclusive import disk_errors
from earmark.errors import BadRecipe, BadValue, MissingExtra
from earmark.files import write_bytes
from earmark.training.chance import generator
from earmark.training.checkpoint import Arrays
from earmark.training.crnn import CRNN, Settings
from earmark.training.history import Line
from earmark.training.keras_names import give_weights, take_weights, variables
from earmark.training.learner import kept_share, load_weights, rate_at
from earmark.training.loop import batches
from earmark.training.processes import Processes
from earmark.training.recipe import Optimiser, Recipe
from earmark.training.session import Session
from earmark.training.stopping import Stop

try:
    import keras
    from keras import layers, ops
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] == "keras":
        raise MissingExtra("keras", "keras") from error
    raise BadValue(
        f"Keras asks for its backend {error.name}, which is not installed. Install it, or choose "
        "another: KERAS_BACKEND=torch"
    ) from error

LAST, BEST = "last.keras", "best.keras"
_LAST_IN_MEMORY = {"data_format": "channels_last"}  # on every backend, and whatever keras.json says


def twin(model: CRNN, *, seed: int = 0) -> keras.Model:
    """A Keras network that is what the torch network is, with its weights.

    Input "log_mel" float32 (batch, n_mels, n_frames), raw dB; output logits (batch, n_tags).

    seed : of what its dropouts draw
    """
    settings = model.settings
    tied = settings.input_norm == "frame" or (
        settings.recurrent == "none" and settings.summary == "flatten"
    )
    seeds = iter(generator(seed, "weights").integers(2**31, size=len(settings.widths) + 1).tolist())
    inputs = keras.Input((model.n_mels, model.n_frames if tied else None), name="log_mel")
    x = layers.Rescaling(
        1 / model.deviation, -model.mean / model.deviation, name="standardise"
    )(inputs)  # fmt: skip
    x = ops.expand_dims(x, -1)  # (batch, mels, frames, 1)
    x = layers.ZeroPadding2D((0, settings.pad), name="pad", **_LAST_IN_MEMORY)(x)
    if settings.input_norm != "none":
        x = _norm(settings, "input_norm", axis=2 if settings.input_norm == "frame" else 3)(x)
    for number, (width, pool) in enumerate(zip(settings.widths, settings.pools, strict=True), 1):
        x = layers.Conv2D(
            width, settings.kernel, padding="same", use_bias=False, name=f"conv{number}",
            **_LAST_IN_MEMORY,
        )(x)  # fmt: skip
        x = _norm(settings, f"norm{number}", axis=3)(x)
        x = layers.MaxPooling2D(pool, name=f"pool{number}", **_LAST_IN_MEMORY)(x)
        x = layers.ELU(name=f"elu{number}")(x)
        x = layers.Dropout(settings.block_dropout, seed=next(seeds), name=f"dropout{number}")(x)
    x = (_summary if settings.recurrent == "none" else _recurrent)(settings, x)
    x = layers.Dropout(settings.dropout, seed=next(seeds), name="dropout")(x)
    outputs = layers.Dense(model.output.out_features, name="output")(x)
    network = keras.Model(inputs, outputs, name="crnn")
    state = {name: value.detach().cpu().numpy() for name, value in model.state_dict().items()}
    give_weights(network, settings, state)
    return network


def copy_back(network: keras.Model, model: CRNN) -> None:
    """Give a torch network the weights of its twin."""
    load_weights(model, take_weights(network, model.settings))


def listen(network: keras.Model, clips: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Logits (batch, n_tags) of clips (batch, n_mels, n_frames) in dB."""
    return np.array(network.predict_on_batch(clips))


def save(network: keras.Model, path: Path) -> None:
    """Write a .keras file atomically."""
    with TemporaryDirectory() as folder, disk_errors(path.parent):
        whole = Path(folder) / "network.keras"  # Keras goes by the ending
        network.save(whole)
        write_bytes(path, whole.read_bytes())


@keras.saving.register_keras_serializable(package="earmark")  # type: ignore[untyped-decorator]
def hard_sigmoid(x: Any) -> Any:
    """Theano's and Keras 2's; that of Keras 3 has another slope."""
    return ops.clip(0.2 * x + 0.5, 0.0, 1.0)


@keras.saving.register_keras_serializable(package="earmark")
class Schedule(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """The rate of each step, as earmark.training.learner has it.

    n_steps : of the whole run; settings : of the optimiser
    """

    def __init__(self, n_steps: int, settings: dict[str, Any]) -> None:
        self._config = {"n_steps": n_steps, "settings": settings}
        asked = Optimiser(**settings)
        rates = [rate_at(step, n_steps, asked) for step in range(n_steps)]
        self._rates = np.array(rates, dtype=np.float32)

    def __call__(self, step: Any) -> Any:
        """The rate, a scalar of the backend."""
        last = len(self._rates) - 1
        return ops.take(self._rates, ops.minimum(ops.cast(step, "int32"), last))

    def get_config(self) -> dict[str, Any]:
        """What makes the same one again."""
        return self._config


@keras.saving.register_keras_serializable(package="earmark")
class Adam(keras.optimizers.Adam):  # type: ignore[misc]
    """Adam in torch's terms: every weight has a share of the rate, and a decay of its own.

    parts : (share, decay) by a variable's path; the decay is decoupled, as in AdamW
    clip : largest norm of all gradients together; None does not clip
    """

    def __init__(
        self, parts: dict[str, tuple[float, float]], *, learning_rate: Any, clip: float | None
    ) -> None:
        super().__init__(learning_rate, epsilon=1e-8, global_clipnorm=clip)
        self._parts = parts

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """One weight's step."""
        share, decay = self._parts[variable.path]
        if decay:
            self.assign_sub(variable, variable * (learning_rate * (share * decay)))
        super().update_step(gradient, variable, learning_rate * share)

    def get_config(self) -> dict[str, Any]:
        """What makes the same one again."""
        rate = super().get_config()["learning_rate"]
        return {"parts": self._parts, "learning_rate": rate, "clip": self.global_clipnorm}


class KerasLearner:
    """A Keras network that learns: what a session asks of earmark.training.learner.Learner.

    n_steps : of the whole run, for the schedule
    new : torch's names of the weights that learn at the full rate; None for all
    """

    framework: ClassVar = {
        "name": "keras", "version": keras.__version__, "backend": keras.config.backend()
    }  # fmt: skip

    def __init__(
        self,
        model: CRNN,
        recipe: Recipe,
        *,
        here: Processes,
        n_steps: int,
        new: frozenset[str] | None = None,
    ) -> None:
        assert here.count == 1
        self.network = twin(model, seed=recipe.seed)
        self.steps_done = 0
        self.precision, self.where = "f32", f"by Keras on {keras.config.backend()}"
        self._recipe, self._n_steps = recipe, n_steps
        self._average = self.network.get_weights() if recipe.loop.average else None
        self._averaged = twin(model) if recipe.loop.average else None
        optimiser = Adam(
            _parts(self.network, recipe, new),
            learning_rate=Schedule(n_steps, recipe.optimiser.model_dump()),
            clip=recipe.optimiser.clip or None,
        )
        self.network.compile(
            optimiser,
            loss=keras.losses.BinaryCrossentropy(from_logits=True),
            jit_compile=recipe.loop.compile or "auto",
        )
        optimiser.build(self.network.trainable_variables)

    @property
    def rate(self) -> float:
        """The learning rate of the next step."""
        return rate_at(self.steps_done, self._n_steps, self._recipe.optimiser)

    @property
    def result(self) -> keras.Model:
        """The network to keep: with the average of the weights where there is one."""
        if self._averaged is None:
            return self.network
        self._averaged.set_weights(self._average)
        return self._averaged

    def listen(self, clips: Tensor) -> Tensor:
        """Logits (batch, n_tags) of clips, from the weights to keep."""
        return torch.from_numpy(listen(self.result, clips.numpy()))

    def weights(self) -> Arrays:
        """The weights to keep, by torch's names."""
        return take_weights(self.result, self._recipe.model)

    def stepped(self, network: Callable[[], keras.Model]) -> None:
        """Count a step, and take it into the average; `network` gives ours as it is now."""
        self.steps_done += 1
        if self._average is not None:
            keep = np.float32(kept_share(self._recipe.loop.average, self.steps_done))
            both = zip(self._average, network().get_weights(), strict=True)
            self._average = [value + keep * (mean - value) for mean, value in both]

    def arrays(self) -> Arrays:
        """All that a step changes, by name."""
        arrays = take_weights(self.network, self._recipe.model)
        arrays |= {f"keras.{name}": np.asarray(variable) for name, variable in self._others()}
        for number, value in enumerate(self._average or ()):
            arrays[f"average.{number}"] = value
        return arrays

    def load(self, arrays: Arrays, *, steps_done: int) -> None:
        """Go back to what `arrays` gave after so many steps."""
        state = {name.removeprefix("model."): array for name, array in arrays.items()}
        give_weights(self.network, self._recipe.model, state)
        for name, variable in self._others():
            variable.assign(arrays[f"keras.{name}"])
        if self._average is not None:
            self._average = [arrays[f"average.{n}"] for n in range(len(self._average))]
        self.steps_done = steps_done

    def _others(self) -> list[tuple[str, Any]]:
        """The optimiser's variables and the dropouts' generators."""
        dropouts = [one for one in self.network.layers if isinstance(one, layers.Dropout)]
        seeds = [dropout.seed_generator.state for dropout in dropouts if dropout.rate]
        named = [("optimiser", self.network.optimizer.variables), ("seed", seeds)]
        return [(f"{kind}.{n}", one) for kind, many in named for n, one in enumerate(many)]


@contextmanager
def alone(recipe: Recipe) -> Iterator[Processes]:
    """The only process, with clips as NumPy can have them.

    Raises BadRecipe, by name, for what Keras is not made to do here, and BadValue under torchrun.
    """
    for key, refused in (
        ('loop.precision = "bf16"', recipe.loop.precision == "bf16"),
        ('data.held = "gpu"', recipe.data.held == "gpu"),
    ):
        if refused:
            raise BadRecipe(
                f"--framework keras cannot honour {key}. Leave it at its default with --set, or "
                "train with --framework torch"
            )
    if os.environ.get("WORLD_SIZE", "1") != "1":
        raise BadValue("--framework keras trains in one process: start it without torchrun")
    yield Processes(torch.device("cpu"))


def epoch(session: Session, stop: Stop) -> Line | None:
    """The steps of an epoch that are left; None, with all saved, if it was asked to stop."""
    learner = session.learner
    assert isinstance(learner, KerasLearner)
    keep = _Keep(session, learner, stop)
    if session.places_left():
        with closing(_Steps(session)) as steps:
            learner.network.fit(steps, shuffle=False, verbose=0, callbacks=[keep])
    if keep.stopped:
        return None
    save(learner.network, session.run / LAST)
    return session.end_epoch(on_best=lambda: save(learner.result, session.run / BEST))


class _Steps(keras.utils.PyDataset):  # type: ignore[misc]
    """The batches of an epoch from where it stands, in order; reading ahead is the clips' part."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session, self._places = session, session.places_left()
        self._first = session.learner.steps_done
        self._next = 0
        self._reading: Generator[tuple[Tensor, Tensor], None, None] | None = None

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        if self._reading is None or index != self._next:  # Keras looks at some, and begins again
            self.close()
            places = self._places[index:]
            self._reading = batches(self._session, places, step=self._first + index)
        self._next = index + 1
        clips, labels = next(self._reading)
        return clips.numpy(), labels.numpy()

    def close(self) -> None:
        """Stop reading."""
        if self._reading is not None:
            self._reading.close()


class _Keep(keras.callbacks.Callback):  # type: ignore[misc]
    """Counts steps and losses, saves where the recipe says so, stops where it is asked to."""

    def __init__(self, session: Session, learner: KerasLearner, stop: Stop) -> None:
        super().__init__()
        self.stopped = False
        self._session, self._learner, self._stop = session, learner, stop
        self._steps, self._losses = 0, 0.0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        session = self._session
        # self.model: JAX lays the weights back into the network when it is asked for in this way
        self._learner.stepped(lambda: self.model)
        self._steps += 1
        before, self._losses = self._losses, float(logs["loss"]) * self._steps  # Keras tells means
        session.count(torch.tensor(self._losses - before))
        self.stopped = session.to_stop(self._stop.asked)
        if self.stopped or session.save_is_due:
            self.model.stop_training = self.stopped
            session.save()


def _norm(settings: Settings, name: str, *, axis: int) -> keras.Layer:
    # torch's momentum of 0.1 is the share of the new
    return layers.BatchNormalization(axis, momentum=0.9, epsilon=settings.epsilon, name=name)


def _recurrent(settings: Settings, x: Any) -> Any:
    _, n_mels, _, width = x.shape
    x = layers.Permute((2, 3, 1), name="steps")(x)  # (batch, frames left, width, mels left)
    x = layers.Reshape((-1, width * n_mels), name="step")(x)
    classic = settings.recurrent == "classic-gru"
    state = x
    for number in range(1, settings.layers + 1):
        state = layers.GRU(
            settings.units,
            recurrent_activation=hard_sigmoid if classic else "sigmoid",
            reset_after=not classic,
            return_sequences=number < settings.layers,
            name=f"gru{number}",
        )(state)
    if settings.beside == "none":
        return state
    over_time = {"mean": layers.GlobalAveragePooling1D, "max": layers.GlobalMaxPooling1D}
    beside = over_time[settings.beside](name="over_time", **_LAST_IN_MEMORY)(x)
    return layers.Concatenate(name="state_and_time")([state, beside])


def _summary(settings: Settings, x: Any) -> Any:
    if settings.summary == "flatten":
        x = layers.Permute((3, 1, 2), name="as_torch")(x)
        return layers.Flatten(name="flat", **_LAST_IN_MEMORY)(x)
    pool = {"mean": layers.GlobalAveragePooling2D, "max": layers.GlobalMaxPooling2D}
    return pool[settings.summary](name=settings.summary, **_LAST_IN_MEMORY)(x)


def _parts(
    network: keras.Model, recipe: Recipe, new: frozenset[str] | None
) -> dict[str, tuple[float, float]]:
    """The share of the rate and the decay of each weight, by path."""
    settings = recipe.optimiser
    parts = {}
    for name, variable in variables(network, recipe.model).items():
        share = settings.body_rate if new is not None and name not in new else 1.0
        decays = settings.name == "adamw" and variable.name not in ("gamma", "beta", "bias")
        parts[variable.path] = share, settings.weight_decay if decays else 0.0
    return parts
