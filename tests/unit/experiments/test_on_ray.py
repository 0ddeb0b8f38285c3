"""A sweep on a Ray cluster of this machine; needs Ray (pip install -e '.[ray]')."""

import threading
import time
from pathlib import Path

import pytest

from utils.errors import CourseError
from utils.experiments import Store
from utils.experiments.spec import Spec
from utils.experiments.sweep import sweep


def specs(n: int, method: str = "full", **hyper) -> list[Spec]:
    from utils.adaptation import METHODS

    hyper = {**METHODS[method].defaults, "min_updates": 12, **hyper}
    return [
        Spec(
            dataset="stanfordnlp/sst2", method=method, n_train=16, seed=seed, data_seed=seed,
            model="sentence-transformers/all-MiniLM-L6-v2", profile="smoke",
            validation_limit=20, test_limit=20, hyper=hyper,
        )
        for seed in range(n)
    ]  # fmt: skip


def test_an_unknown_executor() -> None:
    with pytest.raises(CourseError, match=r"no executor 'slurm'\. There are processes and ray"):
        sweep(specs(1), executor="slurm")


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A head that runs nothing, and two workers with one processor each."""
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("COURSE_RUNS", str(tmp_path / "runs"))
    found = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    found.workers = [found.add_node(num_cpus=1) for _ in range(2)]
    monkeypatch.setenv("RAY_ADDRESS", found.address)
    yield found
    ray.shutdown()
    found.shutdown()


class Counted(Store):
    """Counts what is put into it."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.put_keys: list[str] = []

    def put(self, record) -> None:
        self.put_keys.append(record.key)
        super().put(record)


def test_a_worker_is_killed_and_nothing_is_lost_or_run_twice(cluster, tmp_path: Path) -> None:
    wanted, store = specs(8), Counted(tmp_path / "records")
    done_before_the_kill: list[int] = []

    def kill() -> None:
        while len(store.put_keys) < 2:
            time.sleep(0.05)
        cluster.remove_node(cluster.workers[0], allow_graceful=False)
        done_before_the_kill.append(len(store.put_keys))

    killer = threading.Thread(target=kill)
    killer.start()
    result = sweep(wanted, store, executor="ray", progress=False)
    killer.join()
    assert 2 <= done_before_the_kill[0] < 8  # it did happen in the middle
    assert result.n_run == len(store.records()) == 8
    assert len(set(store.put_keys)) == len(store.put_keys) == 8
    again = sweep(wanted, store, executor="ray", progress=False)
    assert (again.n_run, again.n_reused) == (0, 8)
    here = sweep(wanted[:1], Store(tmp_path / "here"), progress=False)
    assert here.records[0].metrics == result.records[0].metrics


def test_an_error_of_an_experiment_comes_back_as_it_is(cluster, tmp_path: Path) -> None:
    (spec,) = specs(1, "probe-3")
    broken = spec.model_copy(update={"hyper": {**spec.hyper, "layer": 7, "features": "layer"}})
    with pytest.raises(CourseError, match="The encoder has the layers 0 to 6; layer is 7"):
        sweep([broken], Store(tmp_path / "records"), executor="ray", progress=False)


def test_a_worker_with_other_data(cluster, tmp_path: Path, monkeypatch) -> None:
    from utils.experiments import run

    original = run.prepare

    def elsewhere(spec: Spec):
        prepared = original(spec)
        return run.Prepared(*(*vars(prepared).values(),)[:-1], "0" * 16)

    monkeypatch.setattr(run, "prepare", elsewhere)  # here, not on the workers
    with pytest.raises(CourseError, match="ran the experiment 0000000000000000 with other data"):
        sweep(specs(1), Store(tmp_path / "records"), executor="ray", progress=False)


def test_no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with pytest.raises(CourseError, match="There is no Ray cluster here"):
        sweep(specs(1), executor="ray")
