"""A tagger in other processes: pickled, forked, and spread by libraries that pickle."""

from __future__ import annotations

import copy
import multiprocessing
import os
import pickle
import shutil
import subprocess
import sys
from functools import partial

import joblib
import numpy as np
import pytest
import tiny_model

from earmark.errors import ModelNotFound
from earmark.runtime import available
from earmark.tagger import Tagger

RATE = 12_000
NOISE = np.random.default_rng(0).normal(0, 0.1, 2 * RATE).astype(np.float32)


def scores(tagger):
    return {tag.name: tag.score for tag in tagger.tag(NOISE, rate=RATE)}


def models_loaded(tagger, _number):
    """The process and the identity of the model that it hears with."""
    return os.getpid(), id(tagger.model)


@pytest.mark.parametrize("runtime", available())
def test_a_pickled_tagger_is_small_and_tags_the_same_elsewhere(model, runtime, tmp_path):
    tagger = Tagger.load(model, runtime=runtime, threads=1)
    data = pickle.dumps(tagger)
    assert len(data) < 1000
    code = (
        "import pickle, sys\n"
        "tagger = pickle.loads(sys.stdin.buffer.read())\n"
        "print(tagger.model.runtime, tagger.card.name)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=data, capture_output=True, check=True, cwd=tmp_path
    )
    assert done.stdout.split() == [runtime.encode(), b"tiny"]
    assert scores(pickle.loads(data)) == pytest.approx(scores(tagger), abs=1e-6)
    assert scores(copy.deepcopy(tagger)) == pytest.approx(scores(tagger), abs=1e-6)


def test_a_process_loads_a_model_once_and_again_when_its_file_is_another(tmp_path):
    path = tiny_model.write(tmp_path / "one.onnx")
    first = pickle.dumps(Tagger.load(path, threads=1))
    assert pickle.loads(first).model is pickle.loads(first).model
    tiny_model.write(path, seed=1, name="another")
    assert pickle.loads(pickle.dumps(Tagger.load(path, threads=1))).card.name == "another"


def test_a_pickle_whose_file_is_gone_says_which(model, tmp_path):
    path = shutil.copy(model, tmp_path / "gone.onnx")
    data = pickle.dumps(Tagger.load(path))
    path.unlink()
    with pytest.raises(ModelNotFound, match=r"cannot read the model \S+gone.onnx"):
        pickle.loads(data)


def test_joblib_spreads_a_tagger_and_each_process_loads_it_once(model):
    tagger = Tagger.load(model, threads=1)
    with joblib.Parallel(n_jobs=2) as parallel:
        found = parallel(joblib.delayed(scores)(tagger) for _ in range(4))
        loaded = parallel(map(joblib.delayed(partial(models_loaded, tagger)), range(8)))
    for one in found:
        assert one == pytest.approx(scores(tagger), abs=1e-6)
    processes = {process for process, _ in loaded}
    assert os.getpid() not in processes
    assert len(set(loaded)) == len(processes)


@pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="this system has no fork"
)
@pytest.mark.parametrize("runtime", available())
def test_a_forked_process_hears_with_the_model_of_its_parent(model, runtime):
    """A runtime's threads do not survive a fork: with its parent's the child waits for ever."""
    code = (
        "import multiprocessing, sys\n"
        "import numpy as np\n"
        "from earmark.tagger import Tagger\n"
        "tagger = Tagger.load(sys.argv[1], runtime=sys.argv[2], threads=2)\n"
        "noise = np.random.default_rng(0).normal(0, .1, 24000).astype('f4')\n"
        "def best(_): return tagger.tag(noise, rate=12000).tags[0].score\n"
        "own = best(0)\n"
        "with multiprocessing.get_context('fork').Pool(2) as pool:\n"
        "    assert np.allclose(pool.map(best, range(4)), own)\n"
        "print('same')\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, str(model), runtime],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.stdout == "same\n", done.stderr
