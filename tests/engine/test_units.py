"""The engine over real processes, which are really killed. tests/engine/test_ray.py has Ray."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import engine_units
import psutil
import pytest
from benchmarks.family import descendants

from earmark.engine import Outcome, cpu_count, map_units, threads_per_worker
from earmark.errors import (
    BadValue,
    MissingExtra,
    OutOfMemory,
    Unexpected,
    UnreadableAudio,
    WorkerDied,
)

SUPPORT = Path(engine_units.__file__).parent


def children() -> list[psutil.Process]:
    """The worker processes of this process; the resource tracker of multiprocessing is none."""
    return [child for child, line in descendants().items() if "resource_tracker" not in line]


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_outcomes_come_in_the_order_of_the_units(workers: int) -> None:
    outcomes = list(map_units(engine_units.slow_when_even, range(20), workers=workers))
    assert outcomes == [Outcome(number, number, None) for number in range(20)]


@pytest.mark.parametrize("workers", [1, 2])
def test_no_units_give_no_outcomes_and_start_nothing(workers: int) -> None:
    assert list(map_units(engine_units.square, [], workers=workers)) == []
    assert children() == []


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_is_the_outcome_of_its_unit_alone(workers: int) -> None:
    outcomes = list(map_units(engine_units.fail_at_three, range(6), workers=workers))
    assert [outcome.value for outcome in outcomes] == [0, 1, 2, None, 4, 5]
    assert isinstance(outcomes[3].error, BadValue)
    assert str(outcomes[3].error) == "three"


@pytest.mark.parametrize("workers", [1, 2])
def test_errors_of_every_kind_arrive_whole(workers: int) -> None:
    outcomes = list(map_units(engine_units.fail_in_each_way, range(5), workers=workers))
    errors = [outcome.error for outcome in outcomes]
    assert isinstance(errors[0], UnreadableAudio)
    assert str(errors[0]) == "cannot read a.mp3: no audio in it"
    assert isinstance(errors[1], MissingExtra)
    assert "Run: pip install " in str(errors[1])
    assert isinstance(errors[2], Unexpected)
    assert "KeyError at engine_units.py" in str(errors[2])
    assert "Traceback" in errors[2].trace
    assert "fail_in_each_way" in errors[2].trace
    assert errors[4] is None


def test_a_value_that_cannot_travel_fails_its_unit_alone() -> None:
    outcomes = list(map_units(engine_units.fail_in_each_way, [4, 3, 4], workers=2))
    assert [outcome.value for outcome in outcomes] == [4, None, 4]
    assert isinstance(outcomes[1].error, Unexpected)


def test_endless_units_are_taken_only_a_little_ahead() -> None:
    taken = itertools.count()
    outcomes = map_units(engine_units.square, taken, workers=2)
    assert [next(outcomes).value for _ in range(5)] == [0, 1, 4, 9, 16]
    outcomes.close()
    assert next(taken) < 30


def test_a_mistake_in_the_units_reaches_the_caller() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        list(map_units(engine_units.square, broken(), workers=2))
    assert children() == []


def test_a_unit_that_kills_its_worker_fails_alone() -> None:
    outcomes = list(map_units(engine_units.kill_at_three, range(12), workers=2))
    assert [outcome.value for outcome in outcomes] == [0, 1, 2, None, *range(4, 12)]
    assert isinstance(outcomes[3].error, WorkerDied)
    assert all(outcome.error is None for outcome in outcomes if outcome.unit != 3)


def test_units_whose_workers_are_killed_once_are_done_all_the_same(tmp_path: Path) -> None:
    units = [(number, str(tmp_path)) for number in range(12)]
    outcomes = list(map_units(engine_units.kill_once, units, workers=2))
    assert [outcome.value for outcome in outcomes] == list(range(12))
    assert len(list(tmp_path.glob("killed-*"))) == 3


def test_a_worker_killed_from_outside_loses_nothing() -> None:
    outcomes = map_units(engine_units.sleep, [0.05] * 30, workers=2)
    values = [next(outcomes).value]
    children()[0].kill()
    values += [outcome.value for outcome in outcomes]
    assert values == [0.05] * 30


def test_the_function_is_kept_by_each_worker() -> None:
    values = [outcome.value for outcome in map_units(engine_units.Counting(), range(10), workers=2)]
    calls: dict[int, list[int]] = {}
    for value in values:
        assert value is not None
        calls.setdefault(value[0], []).append(value[1])
    assert 1 <= len(calls) <= 2
    assert all(counts == list(range(1, len(counts) + 1)) for counts in calls.values())


def test_workers_share_the_native_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    outcomes = map_units(engine_units.process_and_threads, range(4), workers=2)
    shares = {outcome.value[1] for outcome in outcomes if outcome.value}
    assert shares == {str(max(1, cpu_count() // 2))}
    assert threads_per_worker(1) == cpu_count()
    assert threads_per_worker() == 1
    assert "OMP_NUM_THREADS" not in os.environ


def test_a_choice_of_threads_by_the_user_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    outcome = next(map_units(engine_units.process_and_threads, [0], workers=2))
    assert outcome.value is not None
    assert outcome.value[1] == "7"


@pytest.mark.parametrize("chosen", [None, "glibc.malloc.arena_max=1"])
def test_workers_set_up_malloc_unless_the_user_has(
    monkeypatch: pytest.MonkeyPatch, chosen: str | None
) -> None:
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    if chosen is not None:
        monkeypatch.setenv("GLIBC_TUNABLES", chosen)
    outcome = next(map_units(os.getenv, ["GLIBC_TUNABLES"], workers=2))
    assert outcome.value == (chosen or "glibc.malloc.hugetlb=1:glibc.malloc.mxfast=0")
    assert os.environ.get("GLIBC_TUNABLES") == chosen


def test_closing_early_ends_the_workers_at_once() -> None:
    outcomes = map_units(engine_units.sleep, [0.0, 100.0, 100.0, 100.0], workers=2)
    next(outcomes)
    workers = children()
    assert workers
    outcomes.close()
    assert not any(worker.is_running() for worker in workers)


def test_all_workers_are_gone_after_the_last_outcome() -> None:
    list(map_units(engine_units.square, range(4), workers=2))
    assert children() == []


def test_a_negative_number_of_workers_is_refused() -> None:
    with pytest.raises(BadValue, match="workers must be 0 or more, not -1"):
        map_units(engine_units.square, [1], workers=-1)


SCRIPT = """
    import sys
    sys.path.insert(0, {support!r})
    import engine_units
    from earmark.engine import map_units
"""


def script(folder: Path, body: str) -> list[str]:
    path = folder / "script.py"
    path.write_text(dedent(SCRIPT).format(support=str(SUPPORT)) + dedent(body))
    return [sys.executable, str(path)]


def test_a_script_without_a_main_guard_is_told_so(tmp_path: Path) -> None:
    body = "print(list(map_units(engine_units.square, range(3), workers=2)))"
    run = subprocess.run(script(tmp_path, body), capture_output=True, text=True, timeout=60)
    assert run.returncode == 1
    assert run.stdout == ""
    assert 'needs `if __name__ == "__main__":`' in run.stderr


def test_a_function_that_workers_cannot_import_is_named(tmp_path: Path) -> None:
    call = "list(map_units(f, [1], workers=2))"
    code = f"from earmark.engine import map_units\ndef f(x): return x\n{call}"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert run.returncode == 1
    assert "BadValue: the workers cannot load <function f" in run.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_worker_outlives_its_parent(tmp_path: Path, how: signal.Signals) -> None:
    body = f"""
    if __name__ == "__main__":
        list(map_units(engine_units.sleep_and_leave_pid, [{str(tmp_path)!r}] * 9, workers=2))
    """
    command = script(tmp_path, body)
    parent = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    wait_for(lambda: sum(name.name.isdigit() for name in tmp_path.iterdir()) == 2)
    workers = [psutil.Process(int(p.name)) for p in tmp_path.iterdir() if p.name.isdigit()]
    if how == signal.SIGINT:
        os.killpg(parent.pid, how)  # as a terminal does: to the workers as well
    else:
        os.kill(parent.pid, how)
    stderr = parent.communicate(timeout=30)[1]
    assert parent.returncode == -how
    wait_for(lambda: not any(worker.is_running() for worker in workers))
    assert stderr.count("Traceback") == (how == signal.SIGINT)  # the parent's, and none of a worker


def test_a_unit_that_passes_its_deadline_fails_alone_and_its_worker_is_replaced() -> None:
    units = map_units(engine_units.hang_at_three, range(12), workers=2, deadline=2)
    first = next(units)
    staff = {child.pid for child in children()}
    outcomes = [first, *units]
    assert [outcome.value for outcome in outcomes] == [0, 1, 2, None, *range(4, 12)]
    assert isinstance(outcomes[3].error, WorkerDied)
    assert "took longer than 2 seconds" in str(outcomes[3].error)
    assert not any(psutil.pid_exists(pid) for pid in staff)


def test_a_deadline_is_for_one_unit_and_not_for_all_of_a_worker() -> None:
    outcomes = map_units(engine_units.sleep, [0.5] * 10, workers=2, deadline=2)
    assert [outcome.error for outcome in outcomes] == [None] * 10


def test_a_deadline_holds_in_this_process_too() -> None:
    outcomes = list(map_units(engine_units.sleep, [0.0, 100.0, 0.0], workers=1, deadline=2))
    assert [outcome.value for outcome in outcomes] == [0.0, None, 0.0]
    assert isinstance(outcomes[1].error, WorkerDied)
    assert "took longer than 2 seconds" in str(outcomes[1].error)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_ctrl_c_ends_what_works_in_this_process_under_a_deadline(tmp_path: Path) -> None:
    body = f"""
    units = [{str(tmp_path)!r}]
    list(map_units(engine_units.leave_a_mark_and_doze, units, workers=1, deadline=1000))
    """
    with subprocess.Popen(script(tmp_path, body), stderr=subprocess.PIPE, text=True) as process:
        wait_for((tmp_path / "began").exists)
        process.send_signal(signal.SIGINT)
        stderr = process.communicate(timeout=30)[1]
    assert process.returncode == -signal.SIGINT
    assert stderr.count("Traceback") == 1
    assert stderr.rstrip().endswith("KeyboardInterrupt")


@pytest.mark.skipif(sys.platform != "linux", reason="only here is the memory of a process held")
def test_a_unit_that_takes_too_much_memory_fails_alone_and_its_worker_is_replaced(
    tmp_path: Path,
) -> None:
    units = [(number, str(tmp_path)) for number in range(12)]
    function = engine_units.take_4_gb_at_three
    outcomes = list(map_units(function, units, workers=2, memory=1 << 30))
    assert isinstance(outcomes[3].error, OutOfMemory)
    assert [outcome.error for outcome in outcomes if outcome.unit[0] != 3] == [None] * 11
    [replaced] = [int(path.name) for path in tmp_path.iterdir()]
    assert replaced not in {outcome.value for outcome in outcomes[4:]}


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of Windows have no file number")
def test_an_answer_that_breaks_off_costs_its_worker_and_nothing_else(tmp_path: Path) -> None:
    units = [(number, str(tmp_path)) for number in range(9)]
    outcomes = list(map_units(engine_units.half_an_answer_once, units, workers=2))
    assert [len(outcome.value or b"") for outcome in outcomes] == [100_000] * 9
    assert len(list(tmp_path.glob("half-*"))) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of Windows have no file number")
def test_a_run_whose_workers_cannot_answer_ends(tmp_path: Path) -> None:
    with pytest.raises(WorkerDied, match="3 worker processes in a row could not exchange messages"):
        list(map_units(engine_units.half_an_answer_once, [(-1, str(tmp_path))] * 9, workers=2))
    assert children() == []
