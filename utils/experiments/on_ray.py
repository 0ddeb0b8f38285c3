"""Experiments on a Ray cluster (Moritz et al., 2018, OSDI): many machines, one store of records.

The process that sweeps hands experiments out and keeps the records that come back; the workers need
no common disk. When a worker or its machine dies, Ray gives its experiment to another one. What the
course reads, its code, data and models, has to be there on every machine: the key of a record tells
when it is not the same.
"""

from collections import deque
from collections.abc import Generator
from contextlib import ExitStack
from typing import Any

from filelock import Timeout

from utils.errors import CourseError
from utils.experiments.record import Record
from utils.experiments.spec import Spec
from utils.experiments.store import Store

_MAX_RETRIES = 3
_IN_FLIGHT = 2
"""Experiments handed out for each one that can be run at a time: nobody waits for the next."""


def run_on_ray(
    specs: list[Spec], store: Store, jobs: int, retrain: bool
) -> Generator[tuple[Record, bool], None, list[Spec]]:
    """Records as they come, with whether they were run just now; returns what another process has.

    An experiment gets one processor, and where the cluster has GPUs, a share of one: `jobs` of them
    run on a GPU at a time.

    Raises:
        CourseError: if there is no cluster, if it lost an experiment again and again, or if a
            worker has other data, models or code; and what the experiments raise.
    """
    from utils.experiments.run import prepare

    ray = _connect()
    resources = ray.cluster_resources()
    n_gpus = int(resources.get("GPU", 0))
    slots = n_gpus * jobs or int(resources.get("CPU", 1))
    remote = ray.remote(num_cpus=1, num_gpus=1 / jobs if n_gpus else 0, max_retries=_MAX_RETRIES)(
        _run
    )
    waiting, elsewhere = deque(specs), []
    under_way: dict[Any, tuple[str, ExitStack]] = {}
    with ExitStack() as everything:
        while waiting or under_way:
            if waiting and len(under_way) < _IN_FLIGHT * slots:
                spec = waiting.popleft()
                key, lock = prepare(spec).key, ExitStack()
                try:
                    lock.enter_context(store.lock(key).acquire(timeout=0))
                except Timeout:
                    elsewhere.append(spec)
                    continue
                everything.push(lock)
                if not retrain and (record := store.get(key)) is not None:
                    lock.close()
                    yield record, False
                    continue
                store.clean(key)
                under_way[remote.remote(spec)] = key, lock
                continue
            (done, *_), _ = ray.wait(list(under_way), num_returns=1)
            key, lock = under_way.pop(done)
            record = _result(ray, done, key)
            store.put(record)
            lock.close()
            yield record, True
    return elsewhere


def _run(spec: Spec) -> Record:
    """One experiment, on a worker."""
    from utils.experiments.run import prepare, run

    return run(prepare(spec))


def _connect() -> Any:
    try:
        import ray
    except ImportError as error:
        raise CourseError("For a Ray cluster, install Ray: pip install 'ray>=2.50'.") from error
    if not ray.is_initialized():
        try:
            ray.init(address="auto", log_to_driver=False, logging_level="warning")
        except ConnectionError as error:
            raise CourseError(
                "There is no Ray cluster here. Start one with `ray start --head`, or name one by "
                "the environment variable RAY_ADDRESS."
            ) from error
    return ray


def _result(ray: Any, done: Any, key: str) -> Record:
    try:
        record: Record = ray.get(done)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from error
    except ray.exceptions.RayError as error:
        raise CourseError(
            f"The cluster lost the experiment {key} {_MAX_RETRIES + 1} times ({error}). Look at "
            "its machines (their memory first), then start again: what is done is kept."
        ) from error
    if record.key != key:
        raise CourseError(
            f"A worker ran the experiment {key} with other data, another model or other code: its "
            f"record has the key {record.key}. Install the same version of the course on every "
            "machine, and give all the same COURSE_MIRROR or access to the Hub."
        )
    return record
