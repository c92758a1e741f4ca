"""Running one report, and several at a time on this machine."""

from __future__ import annotations

import logging
import os
import re
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import TYPE_CHECKING, Any

import papermill
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from papermill.exceptions import PapermillExecutionError

from ess_analysis.display import MIME
from ess_analysis.errors import DataError
from ess_analysis.reports import engine
from ess_analysis.reports.exporter import export_html
from ess_analysis.reports.plan import DataFiles

if TYPE_CHECKING:
    from ess_analysis.reports.batch import Outcome, Task

READS_VARIABLE = "ESS_KERNEL_READS"  # a file where the kernel tells the data files it opens


def outcomes(tasks: Sequence[Task], jobs: int) -> Iterator[Outcome]:
    """The outcomes of the tasks as they come, `jobs` at a time."""
    logging.getLogger("papermill").setLevel(logging.ERROR)
    engine.warm_up()
    pool = ThreadPoolExecutor(jobs)
    waiting = [pool.submit(run, task) for task in tasks]
    try:
        for done in as_completed(waiting):
            yield done.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def run(task: Task) -> Outcome:
    """The outcome of one report; whatever happens inside is told, never raised."""
    from ess_analysis.reports.batch import Outcome

    start = time.perf_counter()
    try:
        notebook, reads = _executed(task)
        text = export_html(notebook, name=task.report.name, provenance=_provenance(task, reads))
    except Exception as error:
        return Outcome(task.report, error=_reason(error, task), seconds=time.perf_counter() - start)
    return Outcome(
        task.report,
        html=text,
        title=_title(text),
        key_sentence=_key_sentence(notebook),
        reads=reads,
        seconds=time.perf_counter() - start,
    )


def _executed(task: Task) -> tuple[Any, tuple[str, ...]]:
    """The notebook run by papermill, and the data files it opened (relative to the data folder)."""
    report, data = task.report, task.data.resolve()
    with tempfile.TemporaryDirectory(prefix="ess-") as aside:
        told = Path(aside) / "reads"
        told.touch()
        parameters = {**report.parameters}
        if "data" in _parameters(report.notebook):
            parameters["data"] = str(task.data)
        with _deadline(task.timeout) as clock:
            notebook = papermill.execute_notebook(
                str(report.notebook),
                None,
                parameters=parameters,
                engine_name="ess",
                progress_bar=False,
                request_save_on_cell_execute=False,
                execution_timeout=int(task.timeout) + 1,
                resources={"metadata": {"path": str(Path.cwd())}},
                fork_memory=task.memory,
                fork_reads=(str(told), str(data)),
                fork_started=clock,
            )
        opened = {line for line in told.read_text(encoding="utf-8").splitlines() if line}
    return notebook, tuple(sorted(opened))


class _deadline:
    """A limit in seconds: the kernel it is given is killed when time is out."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.timer: threading.Timer | None = None

    def __enter__(self) -> _deadline:
        return self

    def __call__(self, child: engine.Child) -> None:
        self.timer = threading.Timer(self.seconds, child.kill)
        self.timer.daemon = True
        self.timer.start()

    def __exit__(self, *_: object) -> None:
        if self.timer:
            self.timer.cancel()


def _parameters(notebook: Path) -> list[str]:
    from ess_analysis.reports.plan import parameters_of

    return parameters_of(notebook)


def _reason(error: Exception, task: Task) -> str:
    """Why a report failed, in one French line."""
    if isinstance(error, PapermillExecutionError):
        text = f"{error.ename} : {error.evalue}".strip()
        if error.ename == "DataError":
            text = error.evalue
        return f"cellule {error.cell_index + 1}, {_one_line(text)}"
    if isinstance(error, CellTimeoutError):
        return f"arrêté après {task.timeout:g} s (--timeout)"
    if isinstance(error, DeadKernelError):
        return "le calcul s'est arrêté net : mémoire ou temps dépassés (--memory, --timeout), ou plantage"
    if isinstance(error, DataError):
        return _one_line(str(error))
    return _one_line(f"{type(error).__name__} : {error}")


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"\x1b\[[0-9;]*m", "", text)).strip()[:500]


def _title(text: str) -> str:
    import html

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
    """What the page says it was made from: the same inputs give the same words."""
    import hashlib

    from ess_analysis import __version__

    files = DataFiles(task.data)
    notebook = hashlib.sha256(task.report.notebook.read_bytes()).hexdigest()
    settings = ", ".join(f"{k} = {v}" for k, v in sorted(task.report.parameters.items()) if k != "data")
    told = {
        "Fabriqué par": f"ess_analysis {__version__} ({task.version})",
        "Notebook": f"{task.report.notebook.name}, sha256 {notebook[:12]}",
        "Réglages": settings or "aucun",
        "Données": f"{len(reads)} fichier(s) lu(s), sha256 {files.digest(reads)[:12]}",
    }
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    if epoch:
        from datetime import UTC, datetime

        from ess_analysis import french

        told["Date"] = french.day(datetime.fromtimestamp(int(epoch), UTC).date())
    return told
