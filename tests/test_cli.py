"""The `ess` command as it is typed."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from ess_analysis import cli

COMMANDS = "check breakdown build report watch export read template explain diff scenarios explore".split()
HEAVY = {
    "pandas",
    "numpy",
    "matplotlib",
    "nbformat",
    "nbconvert",
    "papermill",
    "pyarrow",
    "distributed",
    "IPython",
}


def modules_after(*arguments: str) -> set[str]:
    program = (
        "import sys, contextlib, io\n"
        "from ess_analysis import cli\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n"
        f"    cli.main({list(arguments)!r})\n"
        "print(*sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def test_help_is_in_french_and_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(["--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert all(f"    {name}" in text for name in COMMANDS)
    assert "usage :" in text and "codes de retour" in text
    assert "show this help" not in text


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main([name, "--help"])
    assert end.value.code == 0
    assert "affiche cette aide" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["breakdown"], "il manque : --by"),
        (["breakdown", "--by", "axis", "--year", "deux"], "« deux » n'est pas une valeur correcte"),
        (["check", "--format", "xml"], "« xml » inconnu"),
        (["frobnicate"], "« frobnicate » inconnu"),
    ],
)
def test_wrong_use_is_told_in_french_with_code_2(
    typed: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(typed)
    assert end.value.code == cli.WRONG_USE
    assert said in capsys.readouterr().err


def test_a_missing_data_folder_is_told_in_three_parts_without_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["check", "--data", str(tmp_path / "absent")]) == cli.WRONG_USE
    message = capsys.readouterr().err
    assert "absent" in message and "À faire" in message
    assert "Traceback" not in message


def test_asking_for_help_imports_nothing_heavy() -> None:
    assert modules_after("--help") & HEAVY == set()


def test_the_breakdown_of_2013_by_axis_and_funder_is_the_one_of_the_note(
    capsys: pytest.CaptureFixture[str],
) -> None:
    typed = "breakdown --by axis --by funder --year 2013 --stage planned --format json".split()
    assert cli.main(typed) == cli.FINE
    records = json.loads(capsys.readouterr().out)
    assert set(records[0]) == {"axis", "funder", "amount_eur", "count", "share"}
    assert sum(record["amount_eur"] for record in records) == pytest.approx(169891)
    missing = {r["funder"]: r["amount_eur"] for r in records if r["axis"] == "non détaillé"}
    assert sorted(missing.values()) == [13173, 16173]


def test_the_checks_of_the_note_are_alerts_and_none_blocks(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", "--format", "json"]) == cli.FINE
    findings = json.loads(capsys.readouterr().out)
    gaps = {abs(f["gap"]) for f in findings if f["gap"] is not None}
    assert {13173, 16173, 8000, 21345, 29346, 1} <= gaps


FIELDS = {"code", "severity", "message", "source", "sheet", "cell", "stated", "computed", "gap"}


def test_each_finding_has_its_fields_in_json_and_in_csv(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", "--format", "json"]) == cli.FINE
    assert all(set(finding) == FIELDS for finding in json.loads(capsys.readouterr().out))
    assert cli.main(["check", "--format", "csv"]) == cli.FINE
    assert set(capsys.readouterr().out.splitlines()[0].split(",")) == FIELDS


def test_the_checks_told_to_people_end_with_their_number(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check"]) == cli.FINE
    told = capsys.readouterr().out
    assert "ALERTE · Annexe 2, F17 · COLUMN-TOTAL" in told
    assert "Aucun constat bloquant, " in told.splitlines()[-1]


MIXED = """\
[file]
path = "f.csv"
sha256 = "{digest}"
title = "Aides"
producer = "Une ville"
date = "2020"
licence = "Licence Ouverte 2.0"
reliability = "Construit pour un essai."

[[table]]
id = "F"
title = "Aides"
header = 1
record_kind = "project"
funder = "Ville"
stage = "paid"

[table.columns]
"Projet" = "title"
"Forme" = "kind"
"Montant" = {{ role = "amount" }}

[[table.total]]
row = "Total"
"""


def test_a_blocking_finding_is_code_1(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A total that adds a loan to a grant."""
    folder = tmp_path / "raw" / "ville"
    folder.mkdir(parents=True)
    rows = b"Projet;Forme;Montant\nCafe;subvention;10\nGarage;pr\xc3\xaat;30\nTotal;;40\n"
    (folder / "f.csv").write_bytes(rows)
    sheet = MIXED.format(digest=hashlib.sha256(rows).hexdigest())
    (folder / "f.csv.toml").write_text(sheet, encoding="utf-8")
    assert cli.main(["check", "--data", str(tmp_path / "raw"), "--format", "json"]) == cli.BLOCKED
    found = json.loads(capsys.readouterr().out)
    assert [one["code"] for one in found if one["severity"] == "blocking"] == ["MIXED-TOTAL"]


@pytest.mark.parametrize(
    ("typed", "sums"),
    [
        ("--by funder --by year --once", [90000, 118000, 35663, 80718]),
        ("--by year --stage awarded", [73000, 73000, 25663]),
        ("--by year --stage awarded --undated spread", [85831.5, 85831.5]),
        ("--by territory --stage awarded", [146000, 5933, 15000, 1576.67, 1576.67, 1576.66]),
        ("--by territory --stage awarded --apportion whole", [146000, 5933, 15000, 4730]),
        ("--by recipient --stage awarded --legal-status Association", [4730]),
        ("--by funder --stage planned --commune Lille", []),
    ],
)
def test_what_each_option_of_the_breakdown_gives(
    typed: str, sums: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["breakdown", *typed.split(), "--format", "json"]) == cli.FINE
    assert [record["amount_eur"] for record in json.loads(capsys.readouterr().out)] == sums


def test_lille_receives_85_05_per_cent_of_what_was_awarded(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main("breakdown --by recipient --stage awarded --format json".split()) == cli.FINE
    first = json.loads(capsys.readouterr().out)[0]
    assert (first["recipient"], first["amount_eur"]) == ("Ville de Lille", 146000)
    assert round(first["share"], 4) == 0.8505


@pytest.mark.parametrize("how", ["table", "csv", "json"])
def test_the_build_says_what_it_wrote(how: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["build", "--out", str(tmp_path / "out"), "--format", how]) == cli.FINE
    said = capsys.readouterr().out
    written = {path for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert len(written) > 5 and all(str(path) in said for path in written)
    if how == "json":
        assert {record["file"]: record["bytes"] for record in json.loads(said)} == {
            str(path): path.stat().st_size for path in written
        }
