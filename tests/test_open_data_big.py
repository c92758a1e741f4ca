"""Files too large to be kept: the same sums to the cent as a whole reading, or sent to that reading."""

from __future__ import annotations

import json
import random
from decimal import Decimal
from pathlib import Path

import pytest

import ess_analysis as ess
from ess_analysis.cli import main
from ess_analysis.open_data import big

HEAD = "nomAttribuant,idAttribuant,dateConvention,nomBeneficiaire,idBeneficiaire,objet,montant,nature,dispositifAide"


def made(path: Path, lines: int = 2000, more: str = "") -> Path:
    draw = random.Random(7)
    rows = [HEAD]
    for n in range(lines):
        cents = draw.randrange(1, 10**8)
        amount = draw.choice(
            [f"{cents // 100}.{cents % 100:02d}", f'"{cents // 100},{cents % 100:02d}"', f"{cents // 100}"]
        )
        nature = draw.choice(["aide en numéraire", "aide en nature", "Numéraire", ""])
        date = draw.choice(["2013-03-02", "2014-12-31", "03/05/2015", ""])
        rows.append(
            f'Ville {n % 7},21590350100017,{date},Association {n % 90},13002526500013,"Objet, {n}",{amount},{nature},D{n % 5}'
        )
    path.write_text("\n".join(rows) + "\n" + more, encoding="utf-8")
    return path


def test_the_sums_are_those_of_the_whole_reading(tmp_path: Path) -> None:
    path = made(tmp_path / "a.csv")
    whole, found = ess.read(path), big.sums(path, big.KEYS)
    funding = whole.funding
    assert found.lines == len(funding) and found.amounts == funding["amount_eur"].notna().sum()
    exact = sum((Decimal(repr(one)) for one in funding["amount_eur"]), Decimal(0))
    assert found.total == exact
    for key in ("year", "kind", "funder", "recipient", "programme"):
        names = list(dict.fromkeys([key, "kind"]))
        named = funding.assign(
            year=funding["year"].astype("object").where(funding["year"].notna(), "non daté")
        )
        sums = named.groupby(names)["amount_eur"].sum().round(2)
        read = found.by[key].set_index(names)["amount_eur"].astype("float64").round(2)
        assert sums.to_dict() == read.to_dict(), key


def test_pieces_of_any_size_give_the_same_sums(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces cut in the middle of lines, of letters of two bytes, of texts over two lines."""
    path = made(
        tmp_path / "a.csv", more='Ville,,2013-01-01,Été,,"deux\nlignes",1.50,aide en nature,D1\n' * 30
    )
    whole = big.sums(path, big.KEYS)
    for size in (997, 5000, 70_001):
        monkeypatch.setattr(big, "PIECE", size)
        found = big.sums(path, big.KEYS)
        assert (
            (found.lines, found.amounts, found.total)
            == (whole.lines, whole.amounts, whole.total)
            == (2030, 2030, whole.total)
        )
        for key in big.KEYS:
            assert found.by[key].sort_values(list(found.by[key])[:2]).values.tolist() == (
                whole.by[key].sort_values(list(whole.by[key])[:2]).values.tolist()
            ), key


def test_a_text_over_two_lines_met_late_is_read_like_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pieces cut at any line end, until a text over several lines asks for the quotes to be counted."""
    monkeypatch.setattr(big, "HEAD", 9000)
    more = 'Ville,,2013-01-01,Été,,"un\n\nrendez-vous",1.50,aide en nature,"a\nb"\n' * 30
    path = made(tmp_path / "a.csv", more=more)
    whole = ess.read(path).funding
    for size in (997, 5000, big.PIECE):
        monkeypatch.setattr(big, "PIECE", size)
        found = big.sums(path)
        assert (found.lines, found.amounts) == (2030, 2030)
        assert found.total == sum((Decimal(repr(one)) for one in whole["amount_eur"]), Decimal(0))


def test_each_breakdown_adds_up_to_the_whole(tmp_path: Path) -> None:
    found = big.sums(made(tmp_path / "a.csv"), big.KEYS)
    for frame in found.by.values():
        assert sum(frame["amount_eur"], Decimal(0)) == found.total and frame["count"].sum() == found.amounts


def test_an_amount_that_cannot_be_read_is_told_with_its_cell(tmp_path: Path) -> None:
    more = "Ville 1,,2013-01-01,Doute,,x,12 € 50,aide en numéraire,D1\nVille 1,,2013-01-01,Mille,,x,12 k€,aide en numéraire,D1\n"
    path = made(tmp_path / "a.csv", more=more)
    found = big.sums(path)
    unread = found.findings[found.findings["code"].eq("READ-AMOUNT")]
    assert unread["cell"].tolist() == ["G2002"] and unread["severity"].tolist() == ["blocking"]
    assert found.total == sum(
        (Decimal(repr(one)) for one in ess.read(path).funding["amount_eur"].dropna()), Decimal(0)
    )


@pytest.mark.parametrize(
    "more",
    [
        ",,,TOTAL,,,99,,\n",
        ",,,,,,99,,\n",
        f"{HEAD}\n",
        "Extraction du 6 avril\n",
        'Ville,,2013-01-01,"Ouvert,,x,1,a,b\nVille,,2013-01-01,Autre,,x,2,a,b\nVille,,2013-01-01,Fin",,x,3,a,b\n',
        "Ville,,2013-01-01,Décalé,,x,12,50,aide en numéraire,D1\n",
        'Ville,,2013-01-01,Fin,,x,12,aide en numéraire,"ouvert\n',
    ],
)
def test_a_line_that_asks_for_judgement_sends_the_file_to_the_whole_reading(
    tmp_path: Path, more: str
) -> None:
    with pytest.raises(big.Undecided):
        big.sums(made(tmp_path / "a.csv", more=more))


def test_other_encodings_and_formats_are_read_whole(tmp_path: Path) -> None:
    path = made(tmp_path / "a.csv")
    (tmp_path / "b.csv").write_bytes(path.read_text(encoding="utf-8").encode("cp1252"))
    (tmp_path / "c.csv").write_bytes(path.read_bytes() + b"Ville,,2013-01-01,A,,x,3,num\xe9raire,b\n")
    for name in ("b.csv", "c.csv"):
        with pytest.raises(big.Undecided):
            big.sums(tmp_path / name)


def test_the_command_says_the_same_of_a_large_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = made(tmp_path / "a.csv")
    said = []
    for least in (big.LARGE, 0):
        monkeypatch.setattr(big, "LARGE", least)
        assert main(["read", str(path), "--summary", "--format", "json"]) == 0
        said += json.loads(capsys.readouterr().out)
    small, large = said
    assert "READ-BIG" in {one["code"] for one in large.pop("findings")}
    small.pop("findings")
    assert small == large
