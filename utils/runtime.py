"""What the code runs on: folders, device, precision, seeds, hardware and library versions."""

import os
import platform
import random
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from utils.errors import CourseError

if TYPE_CHECKING:
    import ctypes

    import torch
    from accelerate import Accelerator

LIBRARIES = (
    "torch",
    "transformers",
    "datasets",
    "evaluate",
    "accelerate",
    "scikit-learn",
    "numpy",
    "pandas",
    "seaborn",
    "papermill",
    "jupyterlab",
)

SHORT_WAITS = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "1000"}
"""For the environment, before torch is loaded. By default OpenMP threads that wait keep a core
busy; where another program wants that core too, training becomes up to 70 times slower (measured).
A short spin keeps small models fast on an idle machine."""


def project_root() -> Path:
    """The folder that holds `notebooks/`, `utils/` and `results/`."""
    return Path(__file__).resolve().parent.parent


def _folder(variable: str, default: str) -> Path:
    return Path(os.environ.get(variable) or project_root() / default)


def results_dir() -> Path:
    """The folder of published results (`COURSE_RESULTS`, else `results/`)."""
    return _folder("COURSE_RESULTS", "results")


def runs_dir() -> Path:
    """The folder for everything that is run here (`COURSE_RUNS`, else `runs/`), made if missing.

    Raises:
        CourseError: if it cannot be made or written to.
    """
    folder = _folder("COURSE_RUNS", "runs")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"writable")
            probe.flush()
    except OSError as error:
        raise CourseError(
            f"Cannot write to the folder of runs, {folder} ({error.strerror}). "
            "Make it writable, free some space, or set COURSE_RUNS to another folder."
        ) from error
    return folder


@contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """A file to write that takes the place of `path` at the end, all at once or not at all.

    Raises:
        CourseError: if the disk is full or the folder is read-only; `path` is then unchanged.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        temporary = Path(name)
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes files private; this one shall be as readable as any other.
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        raise CourseError(
            f"Cannot write {path} ({error.strerror}). Nothing was changed. "
            "Free some space or make the folder writable, then run the command again."
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write `content` to `path` so that a reader sees the old file or the new one, never a part.

    Raises:
        CourseError: if the disk is full or the folder is read-only; `path` is then unchanged.
    """
    with atomic_file(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


@cache
def device() -> "torch.device":
    """Where models run: CUDA, else Apple's MPS, else the CPU; `COURSE_DEVICE` overrules."""
    import torch

    if name := os.environ.get("COURSE_DEVICE"):
        return torch.device(name)
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


@dataclass(frozen=True)
class Precision:
    """The number format of matrix products: `name` as Accelerate's `mixed_precision` has it."""

    name: str
    reason: str


@cache
def precision() -> Precision:
    """Choose the precision of training by measuring matrix products on this device.

    float32 is kept unless half precision is at least 1.3 times as fast: many CPUs accept bfloat16
    and then run it at half the speed. fp16 (with loss scaling) serves GPUs without bfloat16.
    `COURSE_PRECISION` ("no", "bf16" or "fp16") overrules the measurement.

    Raises:
        CourseError: if `COURSE_PRECISION` has another value.
    """
    import torch

    if wanted := os.environ.get("COURSE_PRECISION"):
        if wanted not in ("no", "bf16", "fp16"):
            raise CourseError(f"COURSE_PRECISION is {wanted!r}. Choose one of: no, bf16, fp16.")
        return Precision(wanted, "set by COURSE_PRECISION")
    where = device()
    if where.type == "mps":
        return Precision("no", "float32: mixed precision is not measured on MPS")
    half = torch.bfloat16
    if where.type == "cuda" and torch.cuda.get_device_capability(where)[0] < 8:
        half = torch.float16
    ratio = _matmul_seconds(torch.float32, where) / _matmul_seconds(half, where)
    label = "bf16" if half is torch.bfloat16 else "fp16"
    measured = f"a {label} matrix product runs at {ratio:.1f} × the speed of float32 here"
    return Precision(label if ratio >= 1.3 else "no", measured)


def compiles() -> bool:
    """Whether models are compiled before they are trained: where `COURSE_COMPILE` is 1.

    It is for long trainings on a GPU, where its gain has not been measured yet. On a CPU, compiling
    took 40 s and made the updates of MiniLM 1.04 times as fast (one thread).

    Raises:
        CourseError: if `COURSE_COMPILE` is neither 1 nor 0.
    """
    if (wanted := os.environ.get("COURSE_COMPILE") or "0") not in ("0", "1"):
        raise CourseError(f"COURSE_COMPILE is {wanted!r}. Choose 1 to compile models, or 0.")
    return wanted == "1"


def width_step() -> int:
    """Widths of batches are multiples of this: on a GPU 16, so that few shapes recur, else 1."""
    return 16 if device().type == "cuda" else 1


def accelerator(*, mixed_precision: bool = True) -> "Accelerator":
    """Accelerate's object for this device, in the precision of `precision` or in float32.

    The library keeps one state a process and refuses another precision than the first one, which
    may have been that of a `Trainer`: then the state is made anew.
    """
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    wanted = precision().name if mixed_precision else "no"
    if AcceleratorState._shared_state.get("_mixed_precision", wanted) != wanted:
        AcceleratorState._reset_state()
    return Accelerator(mixed_precision=wanted, cpu=device().type == "cpu")


@cache
def onednn_pays() -> bool:
    """Whether linear layers in float32 run here at least 1.3 times as fast by oneDNN.

    Torch's own choice on a CPU is MKL, which can take shorter vectors than the processor has: on an
    AMD EPYC with AVX-512, 210 GFLOP/s against oneDNN's 450 (two cores, measured). False on a GPU.
    """
    import torch

    if device().type != "cpu" or not torch.backends.mkldnn.is_available():
        return False
    with torch.random.fork_rng():  # what is timed must not move what is drawn later
        layer, x = torch.nn.Linear(768, 768), torch.randn(768, 768)
    converted = by_onednn(layer)
    with torch.inference_mode():
        return _best_seconds(lambda: layer(x)) >= 1.3 * _best_seconds(lambda: converted(x))


def by_onednn(module: "torch.nn.Module") -> "torch.nn.Module":
    """The module with its linear layers computed by oneDNN, on the CPU and for inference only."""
    from torch.utils import mkldnn

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch means to build these layers in another way
        converted: torch.nn.Module = mkldnn.to_mkldnn(module)
    return converted


def _matmul_seconds(dtype: "torch.dtype", where: "torch.device", size: int = 768) -> float:
    """Best of five timings of a (size × size) matrix product, in seconds."""
    import torch

    a = torch.ones(size, size, device=where).to(dtype)
    return _best_seconds(lambda: a @ a)


def _best_seconds(call: Callable[[], Any]) -> float:
    """Best of five timings, after one that is not counted; on a CPU by one thread.

    Two threads that wait for each other are not timed alike in all formats where another program
    wants a core, too: bfloat16, at .6 times the speed of float32 (measured), seemed 1.4 times as
    fast.
    """
    import torch

    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        timings = []
        for _ in range(6):
            synchronise()
            start = time.perf_counter()
            call()
            synchronise()
            timings.append(time.perf_counter() - start)
    finally:
        torch.set_num_threads(n_threads)
    return min(timings[1:])


_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1
"""Numbers of glibc's options in `mallopt`."""


@contextmanager
def reused_memory() -> Iterator[None]:
    """Keep large blocks of memory that are freed meanwhile, and use them again; for CPUs.

    glibc gives a block above 32 MiB back to the system as soon as it is freed, and to get it again,
    page by page, takes longer than to compute what stands in it. The gradient of a table of token
    vectors is such a block, once in every update: MiniLM is trained 1.17 times as fast without that
    (16 sentences an update, two cores). Afterwards the sizes are those that glibc reaches by
    itself. Does nothing with another C library.
    """
    library = _heap()
    if library is None:
        yield
        return
    library.mallopt(_MMAP_THRESHOLD, 2**30)
    library.mallopt(_TRIM_THRESHOLD, 2**31 - 1)
    try:
        yield
    finally:
        library.mallopt(_MMAP_THRESHOLD, 2**25)
        library.mallopt(_TRIM_THRESHOLD, 2**26)
        give_back_memory()


def give_back_memory() -> None:
    """Give back to the system what lies unused; to be called every few updates.

    With `reused_memory`, gaps remain between blocks of ever other sizes, and add up. Where a
    vocabulary's scores at each place of a summary are such blocks, .7 GiB in use had 5 GiB of gaps
    after 30 updates, and 19 GiB after 200. Does nothing where `reused_memory` does nothing.
    """
    if library := _heap():
        library.malloc_trim(0)


def _heap() -> "ctypes.CDLL | None":
    """glibc, where tensors lie in its memory: on CPUs."""
    import ctypes

    in_glibc = device().type == "cpu" and platform.libc_ver()[0] == "glibc"
    return ctypes.CDLL(None) if in_glibc else None


def synchronise() -> None:
    """Wait until the GPU has finished; does nothing on a CPU."""
    import torch

    if device().type == "cuda":
        torch.cuda.synchronize()


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and torch (all devices)."""
    import numpy as np
    import torch

    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def reset_peak_memory() -> None:
    """Start a new measurement of `peak_memory_bytes` (GPUs only)."""
    import torch

    if device().type == "cuda":
        torch.cuda.reset_peak_memory_stats()


def peak_memory_bytes() -> int:
    """Peak memory in bytes: of the GPU since the last reset, on a CPU of the process so far."""
    import torch

    if device().type == "cuda":
        return int(torch.cuda.max_memory_allocated())
    try:
        import resource
    except ImportError:  # Windows
        import psutil

        return int(psutil.Process().memory_info().rss)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if platform.system() == "Darwin" else peak * 1024)


@dataclass(frozen=True)
class Hardware:
    """The machine, as records and `course doctor` name it."""

    cpu: str
    cores: int
    memory_bytes: int
    gpu: str | None
    system: str


@cache
def hardware() -> dict[str, Any]:
    """Facts about this machine as a plain dictionary (see `Hardware`)."""
    import psutil
    import torch

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    facts = Hardware(
        cpu=_cpu_name(),
        cores=len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count() or 1,
        memory_bytes=int(psutil.virtual_memory().total),
        gpu=gpu,
        system=f"{platform.system()} {platform.machine()}",
    )
    return asdict(facts)


def circumstances() -> dict[str, Any]:
    """What a result was made with and on, for its provenance: code, libraries, machine, time."""
    import torch

    code, changed = commit()
    return {
        "commit": code,
        "dirty": changed,
        "versions": library_versions(),
        "hardware": hardware(),
        "device": device().type,
        "precision": precision().name,
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


@cache
def library_versions() -> dict[str, str]:
    """Installed versions of the libraries that results depend on, and of Python."""
    versions = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return versions


@cache
def commit() -> tuple[str, bool]:
    """The project's commit and whether tracked files differ from it; outside git "unknown"."""

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=project_root(), capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        return git("rev-parse", "HEAD"), bool(git("status", "--porcelain", "-uno"))
    except (OSError, subprocess.CalledProcessError):
        return "unknown", False
