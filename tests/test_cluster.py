"""The batch on a Dask cluster: every report there in the end, even when a worker dies."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.small_project import READ_A, environment, ess, pages, wait_until, write_project

pytest.importorskip("distributed", reason="extra « cluster » absent")

SLOW = "import os, pathlib, time\npathlib.Path(marks, str(n)).write_text(str(os.getppid()))\ntime.sleep(0.8)"


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def dask(*words: str, folder: Path) -> subprocess.Popen[bytes]:
    """A process of Dask, in a session and a folder of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "distributed.cli.dask_" + words[0], *words[1:]],
        cwd=folder,
        env={**environment(), "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "30s"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A scheduler and two workers in processes of their own, on this machine's loopback."""
    address = f"tcp://127.0.0.1:{free_port()}"
    (tmp_path / "ouvriers").mkdir()
    host, port = address.removeprefix("tcp://").split(":")
    scheduler = dask("scheduler", "--host", host, "--port", port, "--no-dashboard", folder=tmp_path)
    words = ["worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard"]
    workers = [dask(*words, folder=tmp_path / "ouvriers") for _ in range(2)]
    from distributed import Client

    with Client(address, timeout=60, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=60)
    yield address, workers
    for one in [*workers, scheduler]:
        with suppress(ProcessLookupError):
            os.killpg(one.pid, signal.SIGKILL)
        one.wait()


def test_every_report_is_there_in_the_end_when_a_worker_is_killed_in_the_middle(
    cluster: tuple[str, list[subprocess.Popen[bytes]]], tmp_path: Path
) -> None:
    address, workers = cluster
    marks = tmp_path / "marks"
    marks.mkdir()
    cells = [f"marks = {str(marks)!r}", SLOW, READ_A, "print('n', n)"]
    project = write_project(tmp_path / "projet", {"slow": cells}, over=8)
    here = ess_in_background(project, "--cluster", address)
    wait_until(lambda: len(list(marks.iterdir())) >= 3, 120)
    os.killpg(workers[0].pid, signal.SIGKILL)
    out, err = here.communicate(timeout=180)
    assert here.returncode == 0, out + err
    assert out.startswith("8 rapports rendus, 0 inchangé, 0 en échec")
    found = pages(project)
    for n in range(1, 9):
        assert f"n {n}" in found[f"slow-{n}.html"]
        assert "total a 6" in found[f"slow-{n}.html"]
    assert ess(project).stdout.startswith("0 rapport rendu, 8 inchangés")


def ess_in_background(project: Path, *words: str) -> subprocess.Popen[str]:
    from tests.small_project import command

    return subprocess.Popen(
        command(*words), cwd=project, env=environment(), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def test_a_page_from_the_cluster_is_the_page_from_here(
    cluster: tuple[str, list[subprocess.Popen[bytes]]], tmp_path: Path
) -> None:
    frozen = tmp_path / "gelé.toml"
    frozen.write_text("a = 1")
    reading = [READ_A, "print(open(file).read())", "1 / (n - 3)"]
    words = ["--set", f"file={frozen}"]
    made = []
    for name, more in (("là-bas", ["--cluster", cluster[0]]), ("ici", [])):
        project = write_project(tmp_path / name, {"one": reading}, over=3)
        notebook = project / "notebooks" / "one.ipynb"
        notebook.write_text(notebook.read_text().replace("n = 1", "n = 1\\nfile = ''"))
        ended = ess(project, *words, *more)
        assert ended.returncode == 1
        assert "cellule 5 « 1 / (n - 3) », ZeroDivisionError" in ended.stdout
        made.append(pages(project))
    assert set(made[0]) == {"one-1-file-gele.html", "one-2-file-gele.html", "index.html"}
    assert made[0] == made[1]


def test_a_scheduler_that_does_not_answer_is_told_before_anything_starts(tmp_path: Path) -> None:
    project = write_project(tmp_path / "projet", {"of_a": [READ_A]})
    ended = ess(project, "--cluster", f"tcp://127.0.0.1:{free_port()}")
    assert ended.returncode == 2
    assert "L'ordonnanceur Dask ne répond pas" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_nothing_of_dask_is_imported_without_a_cluster(tmp_path: Path) -> None:
    project = write_project(tmp_path / "projet", {"of_a": [READ_A]})
    code = (
        "import sys\nfrom ess_analysis import cli\n"
        "code = cli.main(['report', '--data', 'data', '--notebooks', 'notebooks', '--out', 'out', '-q'])\n"
        "found = sorted({n.partition('.')[0] for n in sys.modules} & {'dask', 'distributed'})\n"
        "print(code, found)"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], cwd=project, env=environment(), capture_output=True, text=True
    )
    assert told.stdout.splitlines()[-1] == "0 []"
    assert "of-a.html" in pages(project)
