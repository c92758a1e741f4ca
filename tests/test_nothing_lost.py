"""Nothing lost: killed, disk full, read-only, twice at once, clock changed, hung, out of memory.

Always the same three things: no file cut or mixed, the last good version intact, and the next run completes
exactly what is missing. benchmarks/kills.py kills 200 times; the rest of the list is here.
"""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks import kills
from ess_analysis.reports import batch, plan
from tests.small_project import (
    READ_A,
    ROOT,
    command,
    environment,
    ess,
    pages,
    places,
    wait_until,
    write_notebook,
    write_project,
)

KILLS = 6


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Three reports of the same table, rendered once, then due again."""
    made = write_project(tmp_path / "projet", {"page": [READ_A, "print(n, '.' * 20_000)"]}, over=3)
    assert batch.render(**places(made), quiet=True).failed == []
    (made / "data" / "a.csv").write_text("40\n")
    return made


def test_a_batch_and_a_build_killed_at_random_moments_lose_nothing(tmp_path: Path) -> None:
    tally, chance = kills.Tally(), random.Random(7)
    kills.kill_batches(KILLS, tmp_path, chance, tally)
    kills.kill_builds(KILLS // 3, tmp_path / "build", chance, tally)
    assert tally.faults == []
    assert tally.counts["kills"] > 0


def test_the_kernels_and_their_folders_end_with_a_batch_that_is_killed(tmp_path: Path) -> None:
    cells = [
        "import tempfile, os\nopen(os.path.join(data, '..', 'started'), 'a').close()",
        "import time; time.sleep(300)",
    ]
    project = write_project(tmp_path / "projet", {"slow": cells})
    own = tmp_path / "tmp"
    own.mkdir()
    tally = kills.Tally()
    running = subprocess.Popen(
        command("-q"), cwd=project, env={**environment(), "TMPDIR": str(own), "ESS_KILL_MARK": "kernels"}
    )
    wait_until((project / "started").exists)
    assert list(own.iterdir())
    running.send_signal(signal.SIGKILL)
    running.wait()
    wait_until(lambda: not kills.marked("kernels"))
    wait_until(lambda: not [path for path in own.iterdir() if path.name.startswith("ess-")])
    assert tally.faults == []


# --- The disk ------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of 160 KB."""
    place = tmp_path / "disque"
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=160k", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(words, capture_output=True).returncode:
        pytest.skip("monter un petit disque demande les droits d'administration")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_stops_the_batch_and_keeps_the_last_good_pages(project: Path, small_disk: Path) -> None:
    shutil.copytree(project / "out", small_disk / "out")
    shutil.rmtree(project / "out")
    (project / "out").symlink_to(small_disk / "out")
    good = pages(project)
    free = shutil.disk_usage(small_disk).free
    (small_disk / "filler").write_bytes(b"x" * max(0, free - 8192))
    stopped(project, good)
    (small_disk / "filler").unlink()
    finished(project)


def test_a_limit_on_the_size_of_files_stops_the_batch_and_keeps_the_last_good_pages(project: Path) -> None:
    good = pages(project)
    limit = 16_000
    stopped(project, good, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    finished(project)


def stopped(project: Path, good: dict[str, str], **options: Any) -> None:
    """The batch says why it cannot go on, in French, and has touched nothing."""
    ended = ess(project, "-q", **options)
    assert ended.returncode == 2
    assert "Lecture ou écriture impossible" in ended.stderr
    assert "la place sur le disque" in ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr
    assert pages(project) == good
    assert not list((project / "out").rglob("*.part"))


def finished(project: Path) -> None:
    """The next run completes exactly what is missing."""
    assert ess(project, "-q").stdout.startswith("3 rapports rendus, 0 inchangé, 0 en échec")
    assert all("total a 40" in page for name, page in pages(project).items() if name != "index.html")
    assert ess(project, "-q").stdout.startswith("0 rapport rendu, 3 inchangés, 0 en échec")


def test_an_output_that_cannot_be_written_is_told_before_anything_runs(project: Path) -> None:
    good = pages(project)
    (project / "out").rename(project / "elsewhere")
    (project / "out").write_text("a file where the folder should be")
    ended = ess(project, "-q")
    assert ended.returncode == 2
    assert "Lecture ou écriture impossible" in ended.stderr
    assert (project / "out").read_text() == "a file where the folder should be"
    (project / "out").unlink()
    (project / "elsewhere").rename(project / "out")
    assert pages(project) == good
    finished(project)


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="demande les droits d'administration"
)
def test_a_read_only_output_is_told_and_left_as_it_was(project: Path) -> None:
    good = pages(project)
    out = str(project / "out")
    bound = subprocess.run(["mount", "--bind", out, out], capture_output=True).returncode == 0
    if not bound or subprocess.run(["mount", "-o", "remount,ro,bind", out], capture_output=True).returncode:
        pytest.skip("les montages ne sont pas permis ici")
    try:
        ended = ess(project, "-q")
    finally:
        subprocess.run(["umount", "-l", out], check=True)
    assert ended.returncode == 2
    assert "Lecture ou écriture impossible" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert pages(project) == good
    finished(project)


def test_a_full_disk_leaves_the_last_build_whole(tmp_path: Path) -> None:
    out = tmp_path / "processed"
    words = ["build", "--data", str(ROOT / "data" / "raw"), "--out", str(out)]
    run = [sys.executable, "-m", "ess_analysis.cli", *words]
    assert subprocess.run(run, env=environment(), capture_output=True).returncode == 0
    before = kills.fingerprint(out)
    ended = subprocess.run(
        run, env=environment(), capture_output=True, text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000)),
    )  # fmt: skip
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    assert kills.fingerprint(out) == before
    assert kills.one_build(out)
    assert [path.name for path in tmp_path.iterdir()] == ["processed"]


# --- Time and company ------------------------------------------------------------------------------


@pytest.mark.parametrize("years", [-30, 30])
def test_a_clock_that_jumps_renders_what_changed_and_nothing_else(years: int, project: Path) -> None:
    finished(project)
    stamp = 1_700_000_000 + years * 31_557_600
    for path in [*(project / "data").iterdir(), *(project / "out").glob("*.html")]:
        os.utime(path, (stamp, stamp))
    assert ess(project, "-q").stdout.startswith("0 rapport rendu, 3 inchangés")
    (project / "data" / "a.csv").write_text("41\n")
    os.utime(project / "data" / "a.csv", (stamp, stamp))
    assert ess(project, "-q").stdout.startswith("3 rapports rendus, 0 inchangé")


def test_two_builds_at_once_leave_one_whole_build(tmp_path: Path) -> None:
    out = tmp_path / "processed"
    words = ["build", "--data", str(ROOT / "data" / "raw"), "--out", str(out)]
    both = [
        subprocess.Popen(
            [sys.executable, "-m", "ess_analysis.cli", *words], env=environment(), stdout=subprocess.DEVNULL
        )
        for _ in range(2)
    ]
    assert 0 in [one.wait(120) for one in both]
    assert kills.one_build(out)


def test_a_batch_waits_for_another_and_both_find_the_same_pages(project: Path) -> None:
    write_notebook(
        project / "notebooks" / "page.ipynb",
        "import time; time.sleep(1)",
        READ_A,
        parameters="data = ''\nn = 1",
    )
    first = subprocess.Popen(command("-q"), cwd=project, env=environment(), stdout=subprocess.PIPE, text=True)
    wait_until(lambda: "total a 40" in "".join(pages(project).values()))
    second = ess(project, "-q")
    assert first.communicate(timeout=60)[0].startswith("3 rapports rendus")
    assert "celui-ci attend son tour" in second.stderr
    assert second.stdout.startswith("0 rapport rendu, 3 inchangés")


@pytest.mark.parametrize(
    ("cell", "why"),
    [
        ("import time; time.sleep(300)", "arrêté après 3"),
        ("import signal; signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 32)); input", "arrêté après 3"),
        ("x = []\nwhile True: x.append(bytearray(2**20))", "mémoire épuisée"),
    ],
    ids=["hangs", "ignores signals", "eats memory"],
)
def test_a_notebook_that_hangs_or_eats_memory_ends_alone(cell: str, why: str, project: Path) -> None:
    good = pages(project)
    held = cell + ("\nwhile True: pass" if "sigmask" in cell else "")
    write_notebook(project / "notebooks" / "wrong.ipynb", held)
    listing = project / "notebooks" / "reports.toml"
    listing.write_text(listing.read_text() + '[[report]]\nname = "wrong"\n')
    ended = ess(project, "-q", "--timeout", "3", "--memory", "600", "--jobs", "1")
    assert ended.returncode == 1
    assert ended.stdout.startswith("3 rapports rendus, 0 inchangé, 1 en échec")
    assert why in ended.stdout
    after = pages(project)
    assert set(after) == set(good)
    assert all("total a 40" in page for name, page in after.items() if name != "index.html")
    assert plan.read_manifest(project / "out")["reports"]["wrong.html"]["status"] == "failed"
