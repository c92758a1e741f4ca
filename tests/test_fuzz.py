"""Spoilt and hostile files: read as their cells say, or refused; a fixed thousand of benchmarks/fuzz.py."""

from __future__ import annotations

import csv
import importlib.util
import io
import math
import sys
from collections import Counter
from decimal import Decimal
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ess_analysis import french
from ess_analysis.errors import DataError
from ess_analysis.load import load
from ess_analysis.open_data import read

BENCHMARK = Path(__file__).resolve().parents[1] / "benchmarks" / "fuzz.py"
RIGHT = {"read", "refused"}


def _loaded() -> ModuleType:
    sys.path.insert(0, str(BENCHMARK.parent))  # worker processes import it by its name
    spec = importlib.util.spec_from_file_location("fuzz", BENCHMARK)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["fuzz"] = module
    spec.loader.exec_module(module)
    return module


fuzz = _loaded()


def test_a_thousand_spoilt_files_are_read_right_or_refused() -> None:
    counts: Counter[str] = Counter()
    alone: Counter[str] = Counter()
    wrong = []
    for way, name, result, why in fuzz.run(1000, seed=7, jobs=2):
        counts[result] += 1
        alone[result] += way.endswith("sans fiche")
        if result not in RIGHT:
            wrong.append(f"{result} · {name} · {way} · {why}")
    assert wrong == [], "\n".join(wrong[:3])
    assert sum(counts.values()) == 1000
    assert counts["read"] > 100 and counts["refused"] > 100, "the files must not all end the same way"
    assert alone["read"] > 30 and alone["refused"] > 30, "nor those read without a source sheet"


NEUTRAL = {  # hostile things that stand beside the rows, or are only long: the rows are read
    "a merge of the whole sheet",
    "a dimension of the whole sheet",
    "macros",
    "external links",
    "names that climb",
    "three hundred thousand lines",
    "two hundred thousand rows",
    "half a character in json",
}


@pytest.mark.parametrize("alone", [False, True], ids=["with a source sheet", "alone"])
@pytest.mark.parametrize("name", list(fuzz.CONSTRUCTIONS))
def test_a_hostile_construction_is_refused_or_neutral(name: str, alone: bool) -> None:
    with get_context("spawn").Pool(1, initializer=fuzz.limited) as pool:
        result, why, taken = pool.apply(fuzz.construction, (name, alone))
    assert result in RIGHT, why
    assert taken < 1024
    assert result == "refused" or name in NEUTRAL, "what is not neutral is refused, never half read"


def test_the_outcomes_that_are_wrong_are_seen() -> None:
    """The judge itself: a wrong sum, an exception and a hang are told apart."""
    base = next(base for base in fuzz.bases() if base.name == "aides.xlsx")

    class Read:
        def __init__(self, amount: float) -> None:
            import pandas as pd

            self.funding = pd.DataFrame({"sheet": ["Aides"], "cell": ["C2"], "amount_eur": [amount]})

    assert fuzz.differences(Read(10000.0), base.name, base.content) == []
    assert fuzz.differences(Read(1000.0), base.name, base.content) != []


def test_nothing_is_unpacked_beside_the_data(tmp_path: Path) -> None:
    _, make = fuzz.CONSTRUCTIONS["names that climb"]
    fuzz.outcome("aides.xlsx", make(), fuzz._sheet("aides.xlsx", 'sheet = "Aides"'), tmp_path / "a" / "raw")
    assert {path.name for path in tmp_path.rglob("*")} == {"a", "raw", "aides.xlsx", "aides.xlsx.toml"}
    assert not Path("/abs.txt").exists()


def _folder(tmp_path: Path, name: str, content: bytes, path: str | None = None) -> Path:
    folder = tmp_path / "raw"
    folder.mkdir()
    (folder / name).write_bytes(content)
    sheet = fuzz._sheet(path or name, 'sheet = "Aides"').format(digest=sha256(content).hexdigest())
    (folder / "aides.toml").write_text(sheet, encoding="utf-8")
    return folder


def test_a_symbolic_link_is_not_followed(tmp_path: Path) -> None:
    content = next(base for base in fuzz.bases() if base.name == "aides.xlsx").content
    folder = _folder(tmp_path, "aides.xlsx", content)
    (folder / "aides.xlsx").rename(tmp_path / "ailleurs.xlsx")
    (folder / "aides.xlsx").symlink_to(tmp_path / "ailleurs.xlsx")
    with pytest.raises(DataError, match="lien symbolique"):
        load(folder)


@pytest.mark.parametrize(
    "path", ["../aides.xlsx", "/etc/hostname", "sous/aides.xlsx", "..", "C:\\aides.xlsx\0"]
)
def test_a_source_sheet_cannot_name_a_file_elsewhere(tmp_path: Path, path: str) -> None:
    content = next(base for base in fuzz.bases() if base.name == "aides.xlsx").content
    folder = _folder(tmp_path, "aides.xlsx", content, path.replace("\\", "\\\\").replace("\0", ""))
    with pytest.raises(DataError):
        load(folder)


@pytest.mark.parametrize(
    "name", ["aides.xlsx", "aïdes;.xlsx", "= cmd.xlsx", "a'\"b.xlsx", "<b>.xlsx", "$(touch x).xlsx"]
)
def test_a_hostile_file_name_is_only_a_name(tmp_path: Path, name: str) -> None:
    content = next(base for base in fuzz.bases() if base.name == "aides.xlsx").content
    folder = _folder(tmp_path, name, content, name.replace('"', '\\"'))
    assert set(load(folder).funding["source"]) == {name}
    assert not (folder / "x").exists() and not Path("x").exists()


WORDS = st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["C"]), max_size=30)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(
        st.tuples(WORDS, WORDS, st.integers(-(10**7), 10**7), st.integers(2000, 2030)), min_size=1, max_size=8
    ),
    separator=st.sampled_from([";", ",", "\t"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_a_table_of_any_texts_gives_the_sum_of_its_amounts_or_says_why_not(
    rows: list[tuple[str, str, int, int]],
    separator: str,
    encoding: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Whatever the texts say (« total », numbers, quotes, separators), no euro is lost in silence."""
    path = tmp_path_factory.mktemp("any") / "aides.csv"
    lines = [
        [title, who, f"{cents / 100:.2f}".replace(".", ","), str(year)] for title, who, cents, year in rows
    ]
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=separator, quoting=csv.QUOTE_ALL)
    writer.writerows([["Projet", "Bénéficiaire", "Montant", "Année"], *lines])
    path.write_bytes(text.getvalue().encode(encoding))
    try:
        tables = read(path)
    except DataError as refused:
        assert "À faire" in str(refused)
        return
    expected = sum(Decimal(cents) / 100 for *_, cents, _ in rows)
    gap = abs(Decimal(str(round(float(tables.funding["amount_eur"].sum()), 2))) - expected)
    told = (
        tables.findings["severity"].eq("blocking").any()
        or tables.findings["code"].str.contains("TOTAL").any()
    )
    assert gap < Decimal("0.005") or told


# --- Amounts as people write them ----------------------------------------------------------------

SPACES = st.sampled_from(["", " ", "\u00a0", "\u202f"])


@given(whole=st.integers(0, 10**9), cents=st.integers(0, 99), space=SPACES, negative=st.booleans())
def test_an_amount_written_in_french_is_read_to_the_cent(
    whole: int, cents: int, space: str, negative: bool
) -> None:
    written = f"{whole:,}".replace(",", space) + (f",{cents:02d}" if cents else "") + " €"
    (read,) = french.amounts(("-" if negative else "") + written)
    assert Decimal(str(read.euros)) == (-1 if negative else 1) * (Decimal(whole) + Decimal(cents) / 100)


@settings(max_examples=300)
@given(st.text(alphabet="0123456789 ,.-−€k()en\u00a0\u202f+/", max_size=25))
def test_any_text_gives_finite_amounts_whose_digits_are_all_written_in_it(text: str) -> None:
    for amount in french.amounts(text):
        assert math.isfinite(amount.euros)
        assert amount.text in text


@settings(max_examples=300)
@given(st.text(alphabet="0123456789 ,.-", min_size=1, max_size=12), st.integers(0, 9))
def test_a_digit_just_before_an_amount_is_never_dropped(before: str, digit: int) -> None:
    """« 12 34 € » is not 34 €: either the whole is one number, or it is not read."""
    text = f"{before}{digit}00,00 €"
    digits = "".join(c for c in text if c.isdigit())
    for amount in french.amounts(text):
        assert "".join(c for c in amount.text if c.isdigit()) == digits
