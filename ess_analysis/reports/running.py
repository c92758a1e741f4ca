"""Running one report, and several at a time on this machine."""

from __future__ import annotations

import html
import json
import logging
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from ess_analysis.reports import quick_start  # noqa: F401 - before papermill

# isort: split
import papermill  # before the engine, which papermill itself loads
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from papermill.exceptions import PapermillExecutionError

from ess_analysis import __version__, french
from ess_analysis.display import MIME
from ess_analysis.errors import DataError
from ess_analysis.reports import forks, plan
from ess_analysis.reports.exporter import export_html
from ess_analysis.reports.zygote import ANY_FILE

if TYPE_CHECKING:
    from ess_analysis.reports.batch import Outcome, Task


SHOWN_VERSIONS = ("pandas", "pyarrow", "matplotlib", "papermill")


def outcomes(
    tasks: Sequence[Task], jobs: int, started: Callable[[str], None] = lambda _: None
) -> Generator[Outcome]:
    """The outcomes of the tasks as they come, `jobs` at a time; `started` hears the file of each one begun.

    Closed before its end, it kills the reports that run.
    """

    def one(task: Task) -> Outcome:
        started(task.report.file)
        return run(task)

    logging.getLogger("papermill").setLevel(logging.ERROR)
    pool = ThreadPoolExecutor(jobs)
    waiting = [pool.submit(one, task) for task in tasks]
    ended: SimpleQueue[Future[Outcome]] = SimpleQueue()
    for future in waiting:
        future.add_done_callback(ended.put)
    try:
        with _remembered() as typed:
            for _ in waiting:
                yield _next(ended, typed).result()
    except BaseException:
        for future in waiting:
            future.cancel()
        forks.stop()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _next(ended: SimpleQueue[Future[Outcome]], typed: threading.Event) -> Future[Outcome]:
    """The next report that ends; KeyboardInterrupt once Ctrl-C was typed."""
    while not typed.is_set():
        with suppress(Empty):
            return ended.get(timeout=1)
    raise KeyboardInterrupt


@contextmanager
def _remembered() -> Iterator[threading.Event]:
    """Set by Ctrl-C, which raises KeyboardInterrupt all the same: one that a callback swallowed is not lost."""
    typed, before = threading.Event(), signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield typed
        return

    def heard(number: int, frame: Any) -> None:
        typed.set()
        before(number, frame)

    signal.signal(signal.SIGINT, heard)
    try:
        yield typed
    finally:
        signal.signal(signal.SIGINT, before)


def run(task: Task) -> Outcome:
    """The outcome of one report; whatever happens inside is told, never raised."""
    from ess_analysis.reports.batch import Outcome

    start = time.perf_counter()
    clock = _Deadline(task.timeout)
    try:
        with clock:
            notebook, reads = _executed(task, clock)
        text = _whole_page(notebook) or export_html(
            notebook, name=task.report.name, provenance=_provenance(task, reads)
        )
        _same_data(task, reads)
    except Exception as error:
        return Outcome(task.report, error=_reason(error, task, clock), seconds=time.perf_counter() - start)
    return Outcome(
        task.report,
        html=text,
        title=_title(text),
        key_sentence=_key_sentence(notebook),
        reads=reads,
        seconds=time.perf_counter() - start,
    )


class _Deadline:
    """A limit in seconds: the kernel it is called with is killed when time is out."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.expired = False
        self.child: forks.Child | None = None
        self._timer: threading.Timer | None = None

    def __enter__(self) -> _Deadline:
        return self

    def __call__(self, child: forks.Child) -> None:
        self.child = child
        self._timer = threading.Timer(self.seconds, self._expire)
        self._timer.daemon = True
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        if self._timer:
            self._timer.cancel()

    def _expire(self) -> None:
        self.expired = True
        if self.child:
            self.child.kill()


def _executed(task: Task, clock: _Deadline) -> tuple[Any, tuple[str, ...]]:
    """The notebook run by papermill, and the data files it opened (relative to the data folder)."""
    report = task.report
    with forks.aside() as aside:
        told = Path(aside) / "reads"
        told.touch()
        notebook = papermill.execute_notebook(
            str(report.notebook),
            None,
            parameters=_given(task),
            engine_name="ess",
            progress_bar=False,
            request_save_on_cell_execute=False,
            execution_timeout=int(task.timeout) + 1,
            iopub_timeout=int(task.timeout) + 1,  # what a cell shows may be long to come, on a busy machine
            resources={"metadata": {"path": str(Path.cwd())}},
            fork_memory=task.memory,
            fork_reads=(str(told), str(task.data)),
            fork_started=clock,
        )
        heard = told.read_text(encoding="utf-8").splitlines()
    if not heard or ANY_FILE in heard:  # nobody listened (another kernel), or not everything could be heard
        return notebook, (plan.EVERY_FILE,)
    return notebook, tuple(sorted({line for line in heard if line}))


def _given(task: Task) -> dict[str, Any]:
    """The parameters of the report, with the data folder where the notebook takes one."""
    takes_data = "data" in plan.parameters_of(task.report.notebook)
    return {**task.report.parameters, **({"data": str(task.data)} if takes_data else {})}


def _same_data(task: Task, reads: Sequence[str]) -> None:
    """Raises DataError when a file read by the report is no longer what the plan saw."""
    names = task.digests if plan.EVERY_FILE in reads else reads
    changed = [name for name in names if plan.digest_now(task.data / name) != task.digests.get(name)]
    if changed:
        raise DataError(
            "Des données ont changé pendant le rendu.", seen=changed, todo="relancez « ess report »."
        )


# --- Why it failed -------------------------------------------------------------------------------


def _reason(error: Exception, task: Task, clock: _Deadline) -> str:
    """Why a report failed, in one French line: the cell, then the reason."""
    if isinstance(error, PapermillExecutionError):
        told = {
            "DataError": error.evalue,
            "MemoryError": f"mémoire épuisée, au-delà des {task.memory} Mo accordés (--memory)",
            # the kernel could not even write its error down
            "CellExecutionError": f"mémoire épuisée, sans doute, au-delà des {task.memory} Mo (--memory)",
            "SystemExit": f"le notebook s'est arrêté lui-même (sys.exit, code {error.evalue})",
        }.get(error.ename, f"{error.ename} : {error.evalue}")
        return _one_line(f"{_cell(error.cell_index, error.source, task)}, {told}")
    if isinstance(error, (CellTimeoutError, DeadKernelError)):
        index, source = getattr(error, "running_cell", (None, ""))
        where = f"{_cell(index, source, task)}, " if index is not None else ""
        if clock.expired or isinstance(error, CellTimeoutError):
            return f"{where}arrêté après {task.timeout:g} s (--timeout)"
        return where + _death(clock.child.poll() if clock.child else None, task)
    return _one_line(str(error) if isinstance(error, DataError) else f"{type(error).__name__} : {error}")


def _death(status: int | None, task: Task) -> str:
    """What the exit status of a kernel tells."""
    if status is None:
        return "le calcul s'est arrêté net"
    if status == -signal.SIGKILL:
        return "calcul tué par le système, sans doute faute de mémoire"
    if status == -signal.SIGABRT:
        return f"calcul abandonné, souvent faute de mémoire (--memory {task.memory})"
    if status < 0:
        return f"le calcul s'est arrêté net ({signal.Signals(-status).name})"
    return f"le calcul s'est arrêté net (code de sortie {status})"


def _cell(index: int, source: str, task: Task) -> str:
    """The cell as its author finds it: its place in the notebook file (from 1) and its first line."""
    try:
        cells = json.loads(task.report.notebook.read_text(encoding="utf-8"))["cells"]
        places = [n for n, cell in enumerate(cells, 1) if "".join(cell["source"]) == source]
    except (OSError, ValueError, KeyError):
        places = []
    place = min(places, key=lambda n: abs(n - index - 1), default=index + 1)
    first = next((line.strip() for line in source.splitlines() if line.strip()), "")
    return f"cellule {place} « {first[:60]}{'…' if len(first) > 60 else ''} »"


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"\x1b\[[0-9;]*m", "", text)).strip()[:500]


# --- What the page and the index say of it -------------------------------------------------------


def _whole_page(notebook: Any) -> str:
    """The page that the notebook makes by itself (the scenarios' explorer); empty when it makes none."""
    outputs = (output for cell in notebook.cells for output in cell.get("outputs", []))
    shown = (output.get("data", {}).get(MIME, {}) for output in outputs)
    return next((one["html"] for one in shown if one.get("kind") == "page"), "")


def _title(text: str) -> str:
    match = re.search(r"<title>(.*?)</title>", text, re.DOTALL)
    return html.unescape(match[1]) if match else ""


def _key_sentence(notebook: Any) -> str:
    """The first key point of the report, as plain text."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            shown = output.get("data", {}).get(MIME, {})
            if shown.get("kind") == "keypoints" and shown["items"]:
                return "".join(p if isinstance(p, str) else p["number"] for p in shown["items"][0])
    return ""


def _provenance(task: Task, reads: Sequence[str]) -> dict[str, str]:
    """What the page says it was made from: the same inputs give the same words, on any machine."""
    names = sorted(task.digests) if plan.EVERY_FILE in reads else reads
    told = {
        "Fabriqué par": f"ess_analysis {__version__} ({task.library[:12]})",
        "Avec": ", ".join(
            [f"Python {sys.version.split()[0]}", *(f"{name} {_version(name)}" for name in SHOWN_VERSIONS)]
        ),
        "Notebook": f"{task.report.notebook.name}, sha256 {plan.digest_now(task.report.notebook)[:12]}",
        "Réglages": _settings(task.report.parameters) or "aucun",
        "Données": f"{french.counted(len(names), 'fichier lu', 'fichiers lus')}, "
        f"sha256 {plan.digest_of_names(names, task.digests)[:12]}",
    }
    dates = [day for name in names if (day := plan.sheet_date(task.data / name))]
    told["Donnée la plus récente"] = french.month(max(dates)) if dates else "non précisée"
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    if epoch.isdecimal():
        told["Date du rapport"] = french.day(datetime.fromtimestamp(int(epoch), UTC).date())
    return told


_version = cache(version)


def _settings(parameters: Mapping[str, Any]) -> str:
    """The parameters in words; a file is told by its name and its digest, never by its path."""
    words = []
    for name, value in sorted(parameters.items()):
        digest = plan.file_digest(value)
        words.append(f"{name} = {Path(value).name}, sha256 {digest[:12]}" if digest else f"{name} = {value}")
    return ", ".join(words)
