"""The real published files that stand beside the project: rows and sums exact, without help or with a sheet."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import ess_analysis as ess
from ess_analysis.cli import main
from ess_analysis.errors import DataError
from ess_analysis.load import Tables
from ess_analysis.open_data import summary

SHEETS = Path(__file__).parent / "sheets"
pytestmark = pytest.mark.samples

# What is read where, of the lines of EXPECTED.csv: by the file and the first word of the measure.
KINDS = {"Montant du prêt": "loan", "Montant de la garantie": "guarantee"}
WITH_A_SHEET = {("detr-dsil-2018/projets_DI_2018.ods", "COUT"): "cost_of_projects.toml"}


def expected(samples: Path) -> Iterator[dict[str, str]]:
    with (samples / "EXPECTED.csv").open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


_READ: dict[Path, dict[str, Any]] = {}


def read_alone(path: Path) -> dict[str, Any]:
    """The summary of a file read without help, once for all tests."""
    if path not in _READ:
        _READ[path] = summary(path, ess.read(path))
    return _READ[path]


def amounts(tables: Tables) -> tuple[int, Decimal]:
    read = tables.funding["amount_eur"].dropna()
    return len(read), round(sum((Decimal(repr(one)) for one in read), Decimal(0)), 2)


def test_each_expected_measure_is_read_exactly(samples: Path) -> None:
    wrong, read, alone = [], 0, 0
    for line in expected(samples):
        path, measure = samples / line["file"], line["measure"]
        rows, total = int(line["rows_counted"]), round(Decimal(line["sum"]), 2)
        if (line["file"], measure) in WITH_A_SHEET:
            found = amounts(ess.read(path, source=SHEETS / WITH_A_SHEET[line["file"], measure]))
        elif measure in KINDS:
            found = (rows, round(Decimal(repr(read_alone(path)["by_kind"][KINDS[measure]])), 2))
            alone += 1
        else:
            said = read_alone(path)
            found = (said["rows"], round(Decimal(repr(said["amount_eur"])), 2))
            alone += 1
        read += 1
        if found != (rows, total):
            wrong.append(f"{line['file']}, {measure} : {found}, attendu {(rows, total)}")
    assert wrong == []
    assert read == 16 and alone / read >= 0.6


def test_the_other_files_are_read_exactly_or_refused(samples: Path) -> None:
    """The valid and invalid examples of the standards, against sums made here by other means."""
    for path in sorted((samples / "scdl-examples").glob("*.csv")):
        content = path.read_bytes()
        text = (
            content.decode("utf-8")
            if b"\xe9" not in content or b"\xc3\xa9" in content
            else content.decode("cp1252")
        )
        rows = list(csv.reader(text.splitlines(keepends=True)))
        at = next(i for i, name in enumerate(rows[0]) if name in ("montant", "SUBVENTION_MONTANT"))
        written = [Decimal(row[at].replace(",", ".")) for row in rows[1:] if len(row) > at and row[at]]
        if not written:
            with pytest.raises(DataError, match="Aucun montant"):
                ess.read(path)
            continue
        assert amounts(ess.read(path)) == (len(written), sum(written, Decimal(0))), path.name


def test_the_three_formats_of_one_table_say_the_same(samples: Path) -> None:
    folder = samples / "montpellier"
    said = [read_alone(folder / f"montpellier_attribsub_2012.{suffix}") for suffix in ("csv", "ods", "xls")]
    assert {(one["rows"], one["amount_eur"]) for one in said} == {(616, 3797121.0)}


def test_a_grantnav_file_is_read_to_the_penny(samples: Path) -> None:
    path = samples / "360giving-grantnav" / "a002400000OiDBQAA3.json"
    grants = json.loads(path.read_text(encoding="utf-8"), parse_float=Decimal, parse_int=Decimal)["grants"]
    total = sum((grant["amountAwarded"] for grant in grants), Decimal(0))
    said = read_alone(path)
    assert (said["rows"], round(Decimal(repr(said["amount_eur"])), 2)) == (len(grants), round(total, 2))
    assert (said["currency"], said["standard"]) == ("GBP", "360Giving")


def test_destroyed_numbers_shared_grants_and_duplicates_are_told(samples: Path) -> None:
    def codes(file: str) -> set[str]:
        return {one["code"] for one in read_alone(samples / file)["findings"]}

    assert "READ-ID-SCIENTIFIC" in codes("toulouse/toulouse_2022.csv")
    assert {"READ-DUPLICATES", "READ-ID-ROUNDED"} <= codes("dep53-mayenne/mayenne_2018.xlsx")
    assert "READ-ENCODING" in codes("dep80-somme/somme_20180302.csv")
    assert {"READ-TOTAL", "READ-HEADER-REPEATED"} <= codes("montpellier/montpellier_attribsub_2012.csv")
    assert "READ-PARENT" in codes("jaune-plf2012/jaune_plf2012_subventions_2010.csv")


def test_the_duplicates_of_mayenne_are_worth_what_they_are_worth(samples: Path) -> None:
    said = read_alone(samples / "dep53-mayenne" / "mayenne_2018.xlsx")
    worth = [one["gap"] for one in said["findings"] if one["code"] == "READ-DUPLICATES"]
    assert worth == [921542.0]


def test_a_template_without_rows_is_refused(samples: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(["read", str(samples / "360giving-standard" / "360-giving-template-2023.xlsx"), "--summary"])
        == 2
    )
    assert "Aucun montant" in capsys.readouterr().err


def test_each_sample_and_its_draft_say_the_same(
    samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ess_analysis.open_data import drafts

    monkeypatch.chdir(tmp_path)
    for file in ("montpellier/montpellier_attribsub_2012.csv", "dep80-somme/somme_20180302.csv",
                 "dep53-mayenne/mayenne_2018.xlsx", "jaune-plf2012/jaune_plf2012_subventions_2010.csv"):  # fmt: skip
        path = samples / file
        sheet = tmp_path / f"{path.name}.toml"
        sheet.write_text(drafts.draft(path).replace('à compléter"', 'Ville"'), encoding="utf-8")
        said, alone = summary(path, ess.read(path, source=sheet)), read_alone(path)
        assert {key: said[key] for key in ("rows", "amount_eur", "by_kind", "by_year")} == {
            key: alone[key] for key in ("rows", "amount_eur", "by_kind", "by_year")
        }, file
