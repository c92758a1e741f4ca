"""The preloaded process that kernels are forked from: `python -m ess_analysis.reports.zygote FOLDER`.

It reads one JSON request a line on its standard input and writes one JSON line on its standard output for
each birth ({"id", "pid"}) and each death ({"pid", "status"}). It runs no thread, preloads third-party
modules, and ends, with its kernels and the folder where their sockets are, when its input closes.

A batch also has it read the data ahead ({"ahead": FOLDER, "cwd"}): the library is then imported and the
folder read and checked once, and each report finds both ready. Data that take too long, too much memory, or
bring this process down are not worth it: the batch starts another one, which does without.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import importlib
import io
import json
import os
import random
import select
import shutil
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

PRELOADED = (
    "ipykernel.kernelapp",
    "ipykernel.ipkernel",
    "ipykernel.debugger",
    "IPython.core.completer",
    "IPython.core.completerlib",
    "IPython.core.debugger",
    "IPython.core.oinspect",
    "IPython.extensions.storemagic",
    "IPython.utils.wildcard",
    "matplotlib.backends.backend_agg",
    "matplotlib.figure",
    "lxml.html",
    "numpy",
    "openpyxl",
    "pandas",
    "pandas.core.methods.to_dict",
    "pandas.core.reshape.reshape",
    "pyarrow",
    "pyarrow.compute",
    "pyarrow.pandas_compat",
    "sqlite3",
    "tomllib",
    "tornado.platform.asyncio",
    "tornado.queues",
    "urllib.request",
    "xml.sax.saxutils",
    "zmq",
)
ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
AHEAD_SECONDS = 20  # what reading the data ahead may take
AHEAD_MEGABYTES = 2048
ANY_FILE = "*"  # told instead of a name when a report may read without Python seeing it

# What opens files from C++ or in another process: Python's audit events do not see them.
_UNSEEN_MODULES = {"duckdb", "polars", "fastparquet", "pyarrow.csv", "pyarrow.dataset", "pyarrow.feather"}
_UNSEEN_MODULES |= {"pyarrow.fs", "pyarrow.json", "pyarrow.orc", "pyarrow.parquet", "python_calamine"}
_UNSEEN_EVENTS = {"subprocess.Popen", "os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn"}


def main() -> None:
    """Serve requests until the input closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the batch, which then closes the input
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    given = set(os.environ)
    os.environ["JPY_PARENT_PID"] = str(os.getpid())  # ipykernel reads it once, when imported
    os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")  # as ipykernel does
    if sys.path[0] == os.getcwd():  # put there by -m; ipykernel_launcher takes it away too
        del sys.path[0]
    os.dup2(2, 1)  # what a kernel prints outside IPython goes where the batch's own errors go
    for name in PRELOADED:
        with suppress(ImportError):
            importlib.import_module(name)
    set_by_imports = {name: value for name, value in os.environ.items() if name not in given}
    gc.collect()
    gc.freeze()  # the collector never walks what was preloaded: its pages stay shared
    deaths, told = os.pipe()
    os.set_blocking(told, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(told)
    alive: set[int] = set()
    library = False
    requests = b""
    while True:
        ready, _, _ = select.select([0, deaths], [], [])
        if deaths in ready:
            os.read(deaths, 4096)
            _tell_deaths(alive, answers)
        if 0 in ready:
            chunk = os.read(0, 65536)
            if not chunk:
                break
            requests += chunk
            *lines, requests = requests.split(b"\n")
            for line in lines:
                request = json.loads(line)
                if not library and (request.get("ahead") or request.get("reads")):  # of a batch
                    library = True
                    _import_library()
                if request.get("ahead"):
                    _read_ahead(request["ahead"], request["cwd"])
                    gc.collect()
                    gc.freeze()
                    continue
                zygote, pid = os.getpid(), os.fork()
                if pid == 0:
                    _become_kernel(request, set_by_imports, zygote, library=library)
                alive.add(pid)
                print(json.dumps({"id": request["id"], "pid": pid}), file=answers)
    for pid in alive:
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
    for folder in sys.argv[1:]:
        shutil.rmtree(folder, ignore_errors=True)


def _import_library() -> None:
    """The library imported once for all the reports; it opens every file in Python, hence is heard.

    What it reads them with is forgotten, so that a notebook which imports it is heard.
    """
    with suppress(Exception):  # it fails again, told, in each report
        importlib.import_module("ess_analysis.answers")
        importlib.import_module("ess_analysis.reports.charts")
    for name in _UNSEEN_MODULES & sys.modules.keys():
        package, _, module = name.rpartition(".")
        del sys.modules[name]
        if package:
            delattr(sys.modules[package], module)


def _read_ahead(folder: str, cwd: str) -> None:
    """The folder read and checked once for all the reports; what fails here fails again, told, in each."""
    heard: set[str] = set()
    os.chdir(cwd)
    _hear_reads(folder, heard.add)
    _limit_memory(AHEAD_MEGABYTES, for_good=False)
    signal.setitimer(signal.ITIMER_REAL, AHEAD_SECONDS)  # its signal ends this process
    try:
        with suppress(Exception):
            reading = importlib.import_module("ess_analysis.reports.reading")
            reading.read_ahead(folder, heard, any_file=ANY_FILE)
    finally:
        _hear_nothing()
        signal.setitimer(signal.ITIMER_REAL, 0)
        _limit_memory(None)


def _tell_deaths(alive: set[int], answers: Any) -> None:
    while alive:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        alive.discard(pid)
        print(json.dumps({"pid": pid, "status": os.waitstatus_to_exitcode(status)}), file=answers)


def _become_kernel(
    request: dict[str, Any], set_by_imports: dict[str, str], zygote: int, *, library: bool
) -> None:
    """In the child: a kernel as `python -m ipykernel_launcher -f FILE` would be."""
    status = 1
    try:
        os.setsid()
        _die_with_parent(zygote)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, _end)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.environ.clear()
        os.environ.update({**set_by_imports, **request["env"]}, JPY_PARENT_PID=str(zygote))
        os.chdir(request["cwd"])
        if request.get("memory"):
            _limit_memory(request["memory"])
        if request.get("reads"):
            _tell_reads(request["reads"])
        random.seed()
        sys.modules["numpy"].random.seed()
        for name in [name for name in sys.modules if name.partition(".")[0] == "ess_analysis"]:
            if not library or name == "ess_analysis":
                del sys.modules[name]  # a notebook imports it anew: it then sees that it is in a kernel
        sys.argv = request["argv"]
        from ipykernel.kernelapp import launch_new_instance

        launch_new_instance()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        _say_goodbye()
        os._exit(status)


def _die_with_parent(parent: int) -> None:
    """Killed when the zygote dies, whatever kills it (Linux)."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        os._exit(1)


def _end(*_: Any) -> None:
    """The end of a report that ran to its last cell: what a new interpreter would do when it exits."""
    _say_goodbye()
    os._exit(0)


def _say_goodbye() -> None:
    """The functions left with `atexit` are called, the files still open are written out."""
    with suppress(BaseException):
        atexit._run_exitfuncs()
    written = (io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom)
    for one in gc.get_objects():
        if issubclass(type(one), written):  # never isinstance: it would wake up proxies
            with suppress(BaseException):
                one.flush()


def _limit_memory(megabytes: int | None, *, for_good: bool = True) -> None:
    """What this process may take beyond what it holds already; None lifts a limit not set for good."""
    import resource

    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    if megabytes is None:
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
        return
    with open("/proc/self/statm", encoding="ascii") as file:
        held = int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    limit = held + megabytes * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit if for_good else hard))


def _tell_reads(reads: list[str]) -> None:
    """Writes the name of each file of the data folder that this process opens, relative to the folder.

    Once something that Python's audit events cannot follow is used (another process, DuckDB, Arrow's own
    readers), ANY_FILE is written: the report then counts as reading the whole folder. The first line is
    empty: it says that this process listens. `reads` is the file to write in, then the folder.
    """
    told = os.open(reads[0], os.O_WRONLY | os.O_APPEND)
    os.write(told, b"\n")
    seen: set[str] = set()

    def tell(name: str) -> None:
        if name not in seen:
            seen.add(name)
            os.write(told, f"{name}\n".encode())

    _hear_reads(reads[1], tell)


_folders: tuple[str, ...] = ()  # whose files are listened to, ends included
_tell: Callable[[str], None] | None = None  # who hears; nobody listens when None


def _hear_reads(folder: str, tell: Callable[[str], None]) -> None:
    """From now on `tell` hears the name of each file of the folder that this process opens, or ANY_FILE."""
    global _folders, _tell
    if not _folders:
        sys.addaudithook(_hear)  # once: a hook never goes away
    named = {os.path.abspath(folder), os.path.realpath(folder)}
    _folders, _tell = tuple(os.path.join(name, "") for name in named), tell


def _hear_nothing() -> None:
    global _tell
    _tell = None


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if _tell is None:
        return
    if event in ("open", "sqlite3.connect"):
        if isinstance(arguments[0], (str, bytes, os.PathLike)):
            written = os.path.abspath(os.fsdecode(arguments[0]))
            for path in (written, os.path.realpath(written)):
                for start in _folders:
                    if path.startswith(start):
                        _tell(path[len(start) :])
    elif event in _UNSEEN_EVENTS or (event == "import" and arguments[0] in _UNSEEN_MODULES):
        _tell(ANY_FILE)


if __name__ == "__main__":
    main()
