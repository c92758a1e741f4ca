"""The `ess` command as it is typed."""

from __future__ import annotations

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
