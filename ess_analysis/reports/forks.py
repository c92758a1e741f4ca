"""The preloaded process seen from the batch: it is started, gives birth to kernels, tells their deaths.

Standard library only: it is started while papermill, which takes a second to import, is still on its way.
What happens inside it is in zygote.py.
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ess_analysis.reports.zygote import ONE_THREAD

START_SECONDS = 30.0  # a kernel that has not answered by then is killed: papermill's own engine serves


class NotStarted(OSError):
    """A forked kernel that did not answer in time, before any cell ran."""


class Child:
    """A forked kernel, with the part of `subprocess.Popen` that a provisioner uses."""

    stdin = stdout = stderr = None

    def __init__(self, pid: int, ended: threading.Event) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._ended = ended

    def poll(self) -> int | None:
        """The exit status, or None while it runs."""
        return self.returncode if self._ended.is_set() else None

    def wait(self, timeout: float | None = None) -> int | None:
        """The exit status, once it has ended."""
        self._ended.wait(timeout)
        return self.returncode

    def end(self, status: int) -> None:
        """Called when the zygote tells the death."""
        self.returncode = status
        self._ended.set()

    def send_signal(self, number: int) -> None:
        """The signal, sent to it and to the processes it started, if it still runs."""
        if not self._ended.is_set():
            with suppress(ProcessLookupError):
                try:
                    os.killpg(self.pid, number)
                except ProcessLookupError:  # just born: it has no group of its own yet
                    os.kill(self.pid, number)

    def kill(self) -> None:
        """Killed at once, with the processes it started."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Asked to end."""
        self.send_signal(signal.SIGTERM)


class Zygote:
    """The preloaded process, seen from the outside: it gives birth to kernels and tells their deaths."""

    def __init__(self, made_of: str = "") -> None:
        self.made_of = made_of  # the library and the packages it was started with
        self.ahead = False  # whether it was given data to read
        self.folder = tempfile.mkdtemp(prefix="ess-")  # the zygote removes it, whatever ends this process
        self._process = subprocess.Popen(
            [sys.executable, "-Xfrozen_modules=off", "-m", "ess_analysis.reports.zygote", self.folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **dict.fromkeys(ONE_THREAD, "1")},
        )
        self._gone = False  # it tells nothing any more
        self._births: dict[str, threading.Event] = {}
        self._pids: dict[str, int] = {}
        self._children: dict[int, Child] = {}
        self._early_deaths: dict[int, int] = {}
        self._lock = threading.Lock()
        threading.Thread(target=self._listen, daemon=True).start()
        atexit.register(self.close)

    def fork(self, **request: Any) -> Child:
        """A new kernel process. Raises NotStarted when the zygote is gone or does not answer in time."""
        name, born = uuid.uuid4().hex, threading.Event()
        self._births[name] = born
        self._ask({"id": name, **request})
        if not born.wait(START_SECONDS) or name not in self._pids:
            raise NotStarted("the preloaded process does not answer")
        with self._lock:
            pid = self._pids.pop(name)
            child = self._children[pid] = Child(pid, threading.Event())
            if pid in self._early_deaths:
                child.end(self._early_deaths.pop(pid))
            elif self._gone:  # between the birth and now: nobody will tell the death
                child.end(-signal.SIGKILL)
        return child

    def read_ahead(self, data: Path) -> None:
        """Nothing yet; the folder is read and checked inside it, before the kernels asked for from now on."""
        self.ahead = True
        self._ask({"ahead": str(data), "cwd": os.getcwd()})

    def _ask(self, request: Mapping[str, Any]) -> None:
        assert self._process.stdin
        try:
            with self._lock:
                self._process.stdin.write(json.dumps(request).encode() + b"\n")
                self._process.stdin.flush()
        except OSError as error:
            raise NotStarted("the preloaded process is gone") from error

    @property
    def alive(self) -> bool:
        """Whether it can still give birth."""
        return not self._gone and self._process.poll() is None

    def close(self) -> None:
        """Ends the zygote, and with it the kernels left."""
        for child in list(self._children.values()):
            child.kill()
        if self.alive and self._process.stdin:
            with suppress(OSError):
                self._process.stdin.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _listen(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            told = json.loads(line)
            if "id" in told:
                self._pids[told["id"]] = told["pid"]
                self._births.pop(told["id"]).set()
            else:
                with self._lock:
                    child = self._children.pop(told["pid"], None)
                    if child is None:
                        self._early_deaths[told["pid"]] = told["status"]
                    else:
                        child.end(told["status"])
        self._gone = True
        with self._lock:  # the zygote is gone: its kernels die with it, nobody will tell
            for child in self._children.values():
                child.end(-signal.SIGKILL)
        for born in list(self._births.values()):
            born.set()


_zygote: Zygote | None = None
_zygote_lock = threading.Lock()
_stopping = threading.Event()


def start(data: Path | None = None, made_of: str = "") -> None:
    """A zygote is started, and reads the folder `data` ahead; kernels asked for meanwhile wait.

    One that was started with another library (`made_of`, a digest) is replaced.
    """
    _stopping.clear()
    if can_fork():
        if _zygote is not None and _zygote.made_of != made_of:
            stop()
            _stopping.clear()
        one = zygote(made_of)
        if data is not None:
            with suppress(NotStarted):
                one.read_ahead(data)


def zygote(made_of: str = "") -> Zygote:
    """The one zygote of this process, started when first needed. Raises NotStarted once stopped."""
    global _zygote
    with _zygote_lock:
        if _stopping.is_set():
            raise NotStarted("stopped")
        if _zygote is None or not _zygote.alive:
            _zygote = Zygote(made_of or (_zygote.made_of if _zygote else ""))
        return _zygote


def fork(**request: Any) -> Child:
    """A new kernel process. Raises NotStarted when none can be had in time.

    Data that end the zygote which reads them ahead leave the next one to do without: each report then reads
    them by itself, and fails by itself.
    """
    first = zygote()
    try:
        return first.fork(**request)
    except NotStarted:
        if _stopping.is_set() or not first.ahead or first.alive:
            raise
        return zygote().fork(**request)


def stopping() -> bool:
    """Whether everything was told to end."""
    return _stopping.is_set()


def stop() -> None:
    """Ends the zygote and its kernels at once; nothing starts before `start` is called again."""
    global _zygote
    _stopping.set()
    with _zygote_lock:
        if _zygote is not None:
            _zygote.close()
            _zygote = None


def aside() -> tempfile.TemporaryDirectory[str]:
    """A folder of its own for a report; gone with it, or with the zygote when this process is killed."""
    return tempfile.TemporaryDirectory(prefix="r", dir=zygote().folder if can_fork() else None)


def can_fork() -> bool:
    """Whether this system can fork a preloaded process; macOS could, but its libraries do not survive it."""
    return hasattr(os, "fork") and sys.platform != "darwin"
