"""The same batch on a Dask cluster: `ess report --cluster tcp://HOST:8786`.

Each task carries the data folder and its notebook as one compressed parcel, so that the workers share no disk
with this machine; they need only the same version of ess_analysis. What comes back is the page. A worker that
dies gives its reports to the others.
"""

from __future__ import annotations

import io
import os
import tempfile
import zipfile
from collections.abc import Generator, Sequence
from concurrent.futures import as_completed
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ess_analysis.errors import DataError
from ess_analysis.reports import plan

if TYPE_CHECKING:
    from ess_analysis.reports.batch import Outcome, Task

CONNECT_SECONDS = 10
_DATA, _NOTEBOOK, _GIVEN = "data", "notebook", "given"


def outcomes(tasks: Sequence[Task], address: str) -> Generator[Outcome]:
    """The outcomes of the tasks as they come, run by the workers of the scheduler at `address`.

    Raises DataError when dask.distributed is not installed or the scheduler does not answer.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise DataError(
            "Calcul sur plusieurs machines : dask.distributed n'est pas installé.",
            todo="pip install 'ess_analysis[cluster]'.",
        ) from error
    try:
        client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        raise DataError(
            f"L'ordonnanceur Dask ne répond pas : {address}.",
            seen=[error],
            todo="lancez-le (dask scheduler), puis indiquez l'adresse qu'il affiche, tcp://hôte:8786.",
        ) from error
    with client:
        if not client.scheduler_info()["workers"]:
            raise DataError(
                f"L'ordonnanceur {address} n'a aucun ouvrier.", todo=f"lancez-en : dask worker {address}."
            )
        data = _packed_data(tasks)
        executor = client.get_executor()
        waiting = {executor.submit(run_parcel, task, _packed(task, data)): task for task in tasks}
        try:
            for done in as_completed(waiting):
                yield _outcome(done, waiting[done])
        finally:
            for left in waiting:
                left.cancel()


def run_parcel(task: Task, parcel: bytes) -> Outcome:
    """The outcome of one report on a worker, in a folder of its own made from the parcel."""
    from ess_analysis.reports.batch import Outcome
    from ess_analysis.reports.running import run

    if plan.library_digest() != task.library:
        return Outcome(
            task.report, error="l'ouvrier n'a pas la même version d'ess_analysis que cette machine"
        )
    with tempfile.TemporaryDirectory(prefix="ess-") as folder:
        with zipfile.ZipFile(io.BytesIO(parcel)) as packed:
            packed.extractall(folder)
        here = Path(folder)
        (here / _DATA).mkdir(exist_ok=True)
        given = {
            name: str(here / _GIVEN / name / Path(value).name) if (here / _GIVEN / name).is_dir() else value
            for name, value in task.report.parameters.items()
        }
        notebook = here / _NOTEBOOK / task.report.notebook.name
        local = replace(
            task, data=here / _DATA, report=replace(task.report, notebook=notebook, parameters=given)
        )
        return replace(run(local), report=task.report)


def _outcome(done: Any, task: Task) -> Outcome:
    from ess_analysis.reports.batch import Outcome

    try:
        return done.result()
    except Exception as error:
        return Outcome(task.report, error=f"perdu par la grappe ({type(error).__name__} : {error})"[:500])


def _packed_data(tasks: Sequence[Task]) -> bytes:
    """The data folder, compressed once for all the tasks."""
    first = tasks[0]
    with io.BytesIO() as whole:
        with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as packed:
            for name in first.digests:
                packed.write(first.data / name, f"{_DATA}/{name}")
        return whole.getvalue()


def _packed(task: Task, data: bytes) -> bytes:
    """The parcel of one task: the data, its notebook, the files its parameters name."""
    with io.BytesIO(data) as whole:
        with zipfile.ZipFile(whole, "a", zipfile.ZIP_DEFLATED, strict_timestamps=False) as packed:
            packed.write(task.report.notebook, f"{_NOTEBOOK}/{task.report.notebook.name}")
            for name, value in task.report.parameters.items():
                if plan.file_digest(value):
                    packed.write(value, f"{_GIVEN}/{name}/{os.path.basename(value)}")
        return whole.getvalue()
