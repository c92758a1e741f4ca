"""The batch: only what changed, whatever happens to one report, told in French."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from ess_analysis.errors import DataError
from ess_analysis.reports import batch, plan
from tests.small_project import (
    READ_A,
    READ_B,
    command,
    environment,
    ess,
    pages,
    places,
    wait_until,
    write_notebook,
    write_project,
)

TWO = {"of_a": [READ_A], "of_b": [READ_B]}


def rendered(project: Path, **asked: object) -> list[str]:
    """The files that a batch renders."""
    summary = batch.render(**places(project), quiet=True, **asked)  # type: ignore[arg-type]
    assert summary.failed == []
    return sorted(report.file for report in summary.rendered)


def whys(project: Path, **asked: object) -> dict[str, str]:
    return {one.report.file: one.why for one in batch.planned(**places(project), **asked)}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write_project(tmp_path / "projet", TWO)


def test_what_is_up_to_date_is_not_rendered_again(project: Path) -> None:
    assert rendered(project) == ["of-a.html", "of-b.html"]
    before = pages(project)
    assert "total a 6" in before["of-a.html"]
    assert rendered(project) == []
    assert pages(project) == before
    assert rendered(project, force=True) == ["of-a.html", "of-b.html"]
    assert pages(project) == before


def test_only_the_reports_that_read_what_changed_are_rendered_again(project: Path) -> None:
    rendered(project)
    (project / "data" / "a.csv").write_text("1\n2\n4\n")
    assert whys(project) == {"of-a.html": "les données lues ont changé", "of-b.html": ""}
    assert rendered(project) == ["of-a.html"]
    assert "total a 7" in pages(project)["of-a.html"]


def test_each_reason_to_render_again_is_found_and_told(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rendered(project)
    write_notebook(project / "notebooks" / "of_a.ipynb", READ_A + " ")
    assert whys(project)["of-a.html"] == "le notebook a changé"
    rendered(project)
    (project / "out" / "of-a.html").write_text("edited by hand")
    assert whys(project)["of-a.html"] == "le fichier n'est pas celui que le dernier rendu a fait"
    (project / "out" / "of-a.html").unlink()
    assert whys(project)["of-a.html"] == "fichier absent"
    rendered(project)
    (project / "data" / "c.csv").write_text("new")
    assert set(whys(project).values()) == {"un fichier de données est apparu ou parti"}
    rendered(project)
    with monkeypatch.context() as changed:
        changed.setattr(plan, "library_digest", lambda: "another")
        fields = plan.Now.__dataclass_fields__
        changed.setattr(fields["library"], "default_factory", lambda: "another")
        now = plan.Now(plan.DataFiles(project / "data"), library="another")
        report = batch.planned(**places(project))[0].report
        assert plan.due(report, plan.read_manifest(project / "out"), now, project / "out") == (
            "la bibliothèque a changé"
        )
        now = plan.Now(plan.DataFiles(project / "data"), environment="another")
        assert plan.due(report, plan.read_manifest(project / "out"), now, project / "out") == (
            "un paquet installé a changé"
        )
    assert set(whys(project, force=True).values()) == {"demandé (--force)"}


def test_parameters_that_change_in_the_list_render_again(project: Path) -> None:
    listing = project / "notebooks" / "reports.toml"
    write_notebook(project / "notebooks" / "of_a.ipynb", READ_A, "print(n)", parameters="data = ''\nn = 1")
    listing.write_text('[[report]]\nname = "of_a"\nparameters = { n = 2 }\n')
    rendered(project)
    listing.write_text('[[report]]\nname = "of_a"\nparameters = { n = 3 }\n')
    assert whys(project) == {"of-a.html": "les paramètres ont changé"}


@pytest.mark.parametrize(
    "reading",
    [
        "import subprocess\nprint(subprocess.run(['cat', f'{data}/a.csv'], capture_output=True).stdout)",
        "import duckdb\nprint(duckdb.sql(f\"select sum(column0) from '{data}/a.csv'\").fetchone())",
        "import pyarrow.csv\nprint(pyarrow.csv.read_csv(f'{data}/a.csv').num_rows)",
        "!cat {data}/a.csv",
    ],
    ids=["another process", "DuckDB", "Arrow", "the shell"],
)
def test_a_file_read_without_python_seeing_it_still_renders_again(reading: str, tmp_path: Path) -> None:
    project = write_project(tmp_path / "projet", {"unseen": [reading], "of_b": [READ_B]})
    rendered(project)
    (project / "data" / "a.csv").write_text("1\n2\n4\n")
    assert rendered(project) == ["unseen.html"]


def test_what_python_opens_is_heard_however_it_is_opened(tmp_path: Path) -> None:
    reading = {
        "pandas": ["import pandas as pd\nprint(pd.read_csv(f'{data}/a.csv').shape)"],
        "path": [
            "from pathlib import Path\nimport os\nos.chdir('/')\nprint(Path(data, 'a.csv').read_bytes())"
        ],
        "low": ["import os\nfd = os.open(f'{data}/a.csv', os.O_RDONLY); print(os.read(fd, 9))"],
        "sqlite": ["import sqlite3\nprint(sqlite3.connect(f'{data}/a.csv'))"],
    }
    project = write_project(tmp_path / "projet", reading)
    (project / "data" / "z.csv").write_text("unread")
    rendered(project)
    kept = plan.read_manifest(project / "out")["reports"]
    assert {name: one["reads"] for name, one in kept.items()} == {
        f"{name}.html": ["a.csv"] for name in ("low", "pandas", "path", "sqlite")
    }


def test_without_anyone_to_hear_a_report_reads_the_whole_folder(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ess_analysis.reports import engine

    monkeypatch.setattr(engine, "_why_not", lambda _: "pour l'essai")
    rendered(project, names=["of_a"])
    assert plan.read_manifest(project / "out")["reports"]["of-a.html"]["reads"] == [plan.EVERY_FILE]


# --- Whatever happens to one report ---------------------------------------------------------------

WRONG = {
    "exception": (["x = 1", "1 / 0"], "cellule 4 « 1 / 0 », ZeroDivisionError : division by zero"),
    "exit": (["import sys", "sys.exit(3)"], "le notebook s'est arrêté lui-même (sys.exit, code 3)"),
    "os_exit": (
        ["import os\nos._exit(3)"],
        "cellule 3 « import os », le calcul s'est arrêté net (code de sortie 3)",
    ),
    "segfault": (["import ctypes\nctypes.string_at(0)"], "le calcul s'est arrêté net (SIGSEGV)"),
    "endless": (["while True: pass"], "cellule 3 « while True: pass », arrêté après 6"),
    "endless_in_c": (["import time\ntime.sleep(1000)"], "arrêté après 6"),
    "memory": (["x = [0] * (10 * 2**30 // 8)"], "mémoire épuisée, au-delà des 1000 Mo accordés (--memory)"),
    "killed": (["import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"], "tué par le système"),
}


def test_whatever_happens_to_one_report_the_others_finish_and_the_last_good_version_stays(
    tmp_path: Path,
) -> None:
    project = write_project(tmp_path / "projet", {name: ["print('bonne version')"] for name in WRONG} | TWO)
    assert len(rendered(project)) == len(WRONG) + 2
    good = pages(project)
    for name, (cells, _) in WRONG.items():
        write_notebook(project / "notebooks" / f"{name}.ipynb", *cells)
    (project / "data" / "a.csv").write_text("1\n2\n4\n")
    ended = ess(project, "--timeout", "6", "--memory", "1000")
    assert ended.returncode == 1
    assert f"1 rapport rendu, 1 inchangé, {len(WRONG)} en échec" in ended.stdout
    for name, (_, why) in WRONG.items():
        line = next(
            line for line in ended.stdout.splitlines() if f" {name.replace('_', '-')}.html : " in line
        )
        assert why in line
    after = pages(project)
    assert "total a 7" in after["of-a.html"]
    for name in WRONG:
        file = f"{name.replace('_', '-')}.html"
        assert after[file] == good[file]
        assert why_again(project, file) == "en échec la dernière fois"
    assert "Traceback" not in ended.stdout + ended.stderr


def why_again(project: Path, file: str) -> str:
    return whys(project)[file]


def test_a_report_that_wrote_nothing_yet_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    project = write_project(tmp_path / "projet", {"wrong": ["1 / 0"], "of_b": [READ_B]})
    assert ess(project).returncode == 1
    assert set(pages(project)) == {"of-b.html", "index.html"}
    assert "wrong" in pages(project)["index.html"]


# --- The command -----------------------------------------------------------------------------------


def test_the_summary_is_french_and_agrees(project: Path) -> None:
    first, second = ess(project), ess(project)
    seconds = r"en \d+(,\d)?\u00a0s\.\n"
    assert re.match(f"2 rapports rendus, 0 inchangé, 0 en échec, {seconds}", first.stdout)
    assert re.match(f"0 rapport rendu, 2 inchangés, 0 en échec, {seconds}", second.stdout)
    assert (first.returncode, second.returncode) == (0, 0)


def test_a_dry_run_says_what_would_be_rendered_and_why_and_renders_nothing(project: Path) -> None:
    told = ess(project, "--dry-run").stdout
    assert told == "2 rapports à rendre, 0 à jour :\n  of-a.html : jamais rendu\n  of-b.html : jamais rendu\n"
    assert not (project / "out").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["of_c"], ["Rapport inconnu", "of_c", "of_a, of_b"]),
        (["--year", "1999"], ["Année inconnue", "1999"]),
        (["of_a", "--set", "territory=Loos"], ["Paramètre inconnu de of_a.ipynb", "territory", "data"]),
        (["--set", "territory=Loos"], ["Aucun notebook ne prend", "territory", "data"]),
        (["--set", "Loos"], ["Paramètre mal écrit", "--set nom=valeur"]),
        (["--only", "*2031*"], ["Aucun rapport de ce nom", "of-a.html"]),
        (["--jobs", "0"], ["--jobs attend un nombre positif"]),
        (["--timeout", "-1"], ["--timeout attend un nombre positif"]),
        (["--memory", "0"], ["--memory attend un nombre positif"]),
    ],
)
def test_a_wrong_demand_is_refused_before_anything_starts(
    words: list[str], told: list[str], project: Path
) -> None:
    ended = ess(project, *words)
    assert ended.returncode == 2
    for part in told:
        assert part in ended.stderr
    assert "Traceback" not in ended.stderr
    assert pages(project) == {}


def test_only_and_names_narrow_the_batch(project: Path) -> None:
    assert rendered(project, names=["of_a"]) == ["of-a.html"]
    assert rendered(project, only=["*-b*"]) == ["of-b.html"]


def test_ctrl_c_stops_cleanly_and_the_next_run_completes_what_is_missing(tmp_path: Path) -> None:
    slow = ["import time, pathlib\ntime.sleep(0.5 if n < 3 else 60)\nprint('fini', n)"]
    project = write_project(tmp_path / "projet", {"slow": slow}, over=6)
    running = subprocess.Popen(
        command("--jobs", "2"), cwd=project, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=environment(), start_new_session=True,
    )  # fmt: skip
    wait_until(
        lambda: (project / "out" / "slow-2.html").exists() and (project / "out" / "slow-1.html").exists()
    )

    os.killpg(running.pid, signal.SIGINT)  # as a terminal does: to the whole group
    out, err = running.communicate(timeout=20)
    assert running.returncode == 130
    assert "2 rapports rendus" in out
    assert "Interrompu" in out
    assert "Traceback" not in out + err
    assert set(pages(project)) >= {"slow-1.html", "slow-2.html"}
    assert not list((project / "out").rglob("*.part"))
    write_notebook(
        project / "notebooks" / "slow.ipynb", "print('fini', n)", parameters="data = 'data'\nn = 1"
    )
    assert len(rendered(project)) == 6


def test_two_batches_at_once_do_not_mix(tmp_path: Path) -> None:
    project = write_project(tmp_path / "projet", {"of_a": [READ_A, "print(n)"]}, over=6)
    both = [
        subprocess.Popen(command(), cwd=project, stdout=subprocess.PIPE, text=True, env=environment())
        for _ in range(2)
    ]
    told = sorted(one.communicate(timeout=120)[0].splitlines()[0][:36] for one in both)
    assert [one.returncode for one in both] == [0, 0]
    assert told == ["0 rapport rendu, 6 inchangés, 0 en é", "6 rapports rendus, 0 inchangé, 0 en "]
    assert rendered(project) == []


def test_one_bar_shows_what_is_running(project: Path) -> None:

    reader, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    running = subprocess.Popen(
        command(), cwd=project, stderr=terminal, stdout=subprocess.DEVNULL, env=environment()
    )
    os.close(terminal)
    shown = b""
    try:
        while piece := os.read(reader, 65536):
            shown += piece
    except OSError:  # the terminal is closed
        pass
    assert running.wait() == 0
    assert b"Rapports" in shown
    assert b"of-a" in shown
    assert b"of-b" in shown


# --- Reproducible ----------------------------------------------------------------------------------


def test_the_same_inputs_give_the_same_bytes_elsewhere(tmp_path: Path) -> None:
    found = []
    for name, settings in (
        ("ici", {"TZ": "Europe/Paris", "PYTHONHASHSEED": "1", "LC_ALL": "C.UTF-8"}),
        (
            "là-bas",
            {"TZ": "Asia/Tokyo", "PYTHONHASHSEED": "2", "LC_ALL": "C", "USER": "x", "HOME": str(tmp_path)},
        ),
    ):
        project = write_project(tmp_path / name, TWO)
        ended = subprocess.run(
            command("--jobs", "1" if found else "2"), cwd=project, env={**environment(), **settings}
        )
        assert ended.returncode == 0
        found.append(pages(project))
    assert found[0] == found[1]
    assert str(tmp_path) not in "".join(found[0].values())


def test_the_provenance_says_versions_checksums_and_settings(project: Path) -> None:
    rendered(project)
    page = pages(project)["of-a.html"]
    version = sys.version.split()[0]
    made = "ess_analysis 0.", f"Python {version}", "pandas ", "of_a.ipynb, sha256 ", "fichier lu, sha256 "
    for words in made:
        assert words in page.replace("\u00a0", " ")


def test_data_that_change_while_a_report_reads_them_are_not_published(tmp_path: Path) -> None:
    meddling = READ_A + "\nopen(f'{data}/a.csv', 'w').write('9')"
    project = write_project(tmp_path / "projet", {"meddling": [meddling]})
    summary = batch.render(**places(project), quiet=True)
    assert "Des données ont changé pendant le rendu" in summary.failed[0][1]
    assert "meddling.html" not in pages(project)


def test_a_folder_of_data_that_is_not_there_is_told(project: Path) -> None:
    with pytest.raises(DataError, match="Dossier de données absent"):
        batch.render(**{**places(project), "data": project / "nowhere"}, quiet=True)
