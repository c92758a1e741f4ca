"""The preloaded process that kernels are forked from: `python -m ess_analysis.reports.zygote`.

It reads one JSON request a line on its standard input and writes one JSON line on its standard output for
each birth ({"id", "pid"}) and each death ({"pid", "status"}). It runs no thread, preloads third-party
modules only, and ends, with its kernels, when its input closes.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import random
import select
import signal
import sys
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
    "matplotlib.figure",
    "matplotlib_inline.backend_inline",
    "lxml.html",
    "numpy",
    "openpyxl",
    "pandas",
    "pyarrow",
    "pyarrow.compute",
    "python_calamine",
    "sqlite3",
    "tornado.platform.asyncio",
    "tornado.queues",
    "zmq",
)


def main() -> None:
    """Serve requests until the input closes."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.environ["JPY_PARENT_PID"] = str(os.getpid())  # ipykernel reads it once, when imported
    os.dup2(2, 1)  # what a kernel prints outside IPython goes where the batch's own errors go
    for name in PRELOADED:
        try:
            importlib.import_module(name)
        except ImportError:
            continue
    gc.collect()
    gc.freeze()
    deaths, told = os.pipe()
    os.set_blocking(told, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(told)
    print(json.dumps({"ready": os.getpid()}), file=answers)
    requests = b""
    while True:
        ready, _, _ = select.select([0, deaths], [], [])
        if deaths in ready:
            os.read(deaths, 4096)
            _tell_deaths(answers)
        if 0 in ready:
            chunk = os.read(0, 65536)
            if not chunk:
                return
            requests += chunk
            *lines, requests = requests.split(b"\n")
            for line in lines:
                request = json.loads(line)
                pid = os.fork()
                if pid == 0:
                    _become_kernel(request)
                print(json.dumps({"id": request["id"], "pid": pid}), file=answers)


def _tell_deaths(answers: Any) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        print(json.dumps({"pid": pid, "status": os.waitstatus_to_exitcode(status)}), file=answers)


def _become_kernel(request: dict[str, Any]) -> None:
    """In the child: a kernel as `python -m ipykernel_launcher -f FILE` would be."""
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL if number != signal.SIGINT else signal.default_int_handler)
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.environ.clear()
        os.environ.update(request["env"], JPY_PARENT_PID=str(os.getppid()))
        os.chdir(request["cwd"])
        _limit_memory(request.get("memory"))
        _tell_reads(request.get("reads"))
        gc.unfreeze()
        random.seed()
        sys.modules["numpy"].random.seed()  # type: ignore[attr-defined]
        sys.argv = request["argv"]
        from ipykernel.kernelapp import launch_new_instance

        launch_new_instance()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _limit_memory(megabytes: int | None) -> None:
    """What this process may take beyond what it holds already."""
    if megabytes:
        import resource

        with open("/proc/self/statm", encoding="ascii") as file:
            held = int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        limit = held + megabytes * 2**20
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _tell_reads(reads: list[str] | None) -> None:
    """Writes the name of each file of the data folder that this process opens, relative to the folder."""
    if not reads:
        return
    told = os.open(reads[0], os.O_WRONLY | os.O_APPEND)
    folder = os.path.join(reads[1], "")
    seen: set[str] = set()

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(arguments[0], (str, bytes, os.PathLike)):
            path = os.path.abspath(os.fsdecode(arguments[0]))
            if path.startswith(folder) and path not in seen:
                seen.add(path)
                os.write(told, f"{path[len(folder) :]}\n".encode())

    sys.addaudithook(hear)


if __name__ == "__main__":
    main()
