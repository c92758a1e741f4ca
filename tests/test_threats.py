"""What comes from outside stays text: hostile workbooks from the cell to the page, the exports and the names.

A whole collection is made of payloads (titles, axes, funders, territories, recipients, the sheet's own name);
it is loaded, checked, built, exported, compared and rendered; then each product is looked at.
"""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import urlopen

import openpyxl
import pytest
from lxml import html

from ess_analysis import cli, exports
from ess_analysis.breakdowns import breakdown
from ess_analysis.checks import check
from ess_analysis.diff import diff, told
from ess_analysis.errors import DataError
from ess_analysis.load import load
from ess_analysis.processed import build
from ess_analysis.traces import explain

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).resolve().parents[1]
FIRED = "fired"  # what a payload that runs leaves: a property of the window, or a file

SCRIPTS = [
    "<script>window.fired=1</script>",
    "\"><img src=x onerror='window.fired=2'>",
    "</td></table></main><svg onload=window.fired=3>",
    "</title></style></textarea><script>window.fired=4</script>",
    "<a href='javascript:window.fired=5'>clic</a> [clic](javascript:window.fired=5)",
    "<iframe srcdoc='<script>parent.fired=6</script>'></iframe><!--",
    "]]><details open ontoggle=window.fired=7>",
]
BREAKOUTS = [  # out of a Python string, a template, a shell, an HTML attribute
    "Est\"\nopen('fired','w')\n\"",
    "Ouest'''\nimport os; os.mknod('fired')\n'''",
    "Sud\\\"); open('fired','w').write('x') #",
    "{{ ''.__class__.__mro__ }} {% raise %} ${7*7} %(fired)s {0.__class__}",
    "$(touch fired) `touch fired` ; touch fired | touch fired",
    "../../../fired",
]
FORMULAS = ["=cmd|' /C calc'!A0", '+HYPERLINK("http://x")', "-2+3", "@SUM(1+1)*cmd", "\t=1+1"]
NAMES = ["Ville\u202eegiS", "Cafe\u0301", "a" * 3000, "CON", "\ue0000\ue00012 €\ue000"]
TEXTS = [*SCRIPTS, *BREAKOUTS, *FORMULAS, *NAMES]

SHEET = """
[file]
path = "aides.xlsx"
sha256 = "{digest}"
title = "<script>window.fired=8</script>"
producer = "\\"><img src=x onerror=window.fired=9>"
date = "2014"
licence = "Licence Ouverte"
reliability = "{{ 7 * 7 }}"

[[table]]
id = "C"
record_kind = "project"
stage = "awarded"
sheet = "A<img src=x onerror=fired(1)>"
[table.columns]
"Projet" = "title"
"Axe" = "axis"
"Financeur" = "funder"
"Opérateur" = "operator"
"Bénéficiaire" = "recipient"
"Territoire" = "territory"
"Montant" = {{ role = "amount" }}
"Année" = "year"
"""


def hostile_data(folder: Path) -> Path:
    """A collection whose every text is a payload."""
    folder.mkdir(parents=True)
    shutil.copytree(ROOT / "data" / "raw" / "reference", folder / "reference")
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "A<img src=x onerror=fired(1)>"
    sheet.append(
        ["Projet", "Axe", "Financeur", "Opérateur", "Bénéficiaire", "Territoire", "Montant", "Année"]
    )
    funders, territories = [SCRIPTS[0], BREAKOUTS[0], FORMULAS[0]], [SCRIPTS[1], BREAKOUTS[1], BREAKOUTS[5]]
    for number, text in enumerate(TEXTS):
        others = [TEXTS[(number + shift) % len(TEXTS)] for shift in (3, 7)]
        row = [text, others[0], funders[number % 3], others[1], text[::-1], territories[number % 3]]
        sheet.append([*row, 1000 + number, 2013])
        for cell in sheet[sheet.max_row][:6]:
            cell.data_type = "s"  # a text that begins with « = » is a text
    again = [cell.value for cell in sheet[2]]  # a line told twice: what is found of it quotes the text
    sheet.append([f"Suite de « {TEXTS[0]} »", *again[1:6], 500, 2013])
    book.save(folder / "aides.xlsx")
    digest = sha256((folder / "aides.xlsx").read_bytes()).hexdigest()
    (folder / "aides.xlsx.toml").write_text(SHEET.format(digest=digest), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The hostile collection."""
    return hostile_data(tmp_path_factory.mktemp("hostile") / "raw")


@pytest.fixture(scope="module")
def pages(data: Path) -> Iterator[Path]:
    """The reports of the hostile collection, rendered by the command, in a folder of their own."""
    work = data.parent / "work"
    work.mkdir()
    command = [
        sys.executable,
        "-m",
        "ess_analysis.cli",
        "report",
        "--data",
        str(data),
        "--out",
        str(work / "out"),
        "-q",
    ]
    command += ["--notebooks", str(ROOT / "notebooks")]
    done = subprocess.run(command, cwd=work, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    yield work / "out"


def fired(folder: Path) -> list[Path]:
    """The files that a payload made, if one ran."""
    return [path for path in [folder, *folder.rglob("*")] if path.name == FIRED]


def written_in(folder: Path) -> list[Path]:
    """The files of a folder, the lock of a batch left out."""
    return [path for path in folder.rglob("*") if path.is_file() and ".ess" not in path.parts]


# --- From the cell to the tables ---------------------------------------------------------------------


def test_a_hostile_workbook_is_read_word_for_word(data: Path) -> None:
    tables = load(data)
    assert len(tables.funding) == len(TEXTS) + 1
    assert tables.funding["amount_eur"].sum() == 500 + sum(1000 + number for number in range(len(TEXTS)))
    read = {re.sub(r"\s+", " ", title).strip() for title in tables.funding["title"]}
    composed = {"Cafe\u0301": "Café"}
    for text in TEXTS:
        assert re.sub(r"\s+", " ", composed.get(text, text)).strip() in read, text
    assert fired(data.parent) == []


def test_checking_breaking_down_and_explaining_run_nothing(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(data.parent)
    tables = load(data)
    assert len(check(tables)) > 0
    parts = breakdown(tables, ["funder", "territory"])
    assert parts["amount_eur"].sum() == tables.funding["amount_eur"].sum()
    assert f"somme de {len(TEXTS) + 1}\u00a0cellules" in explain("2013", tables)
    assert fired(data.parent) == []


# --- Exports -------------------------------------------------------------------------------------------


def risky(text: str) -> bool:
    """Whether a spreadsheet would run the text as a formula."""
    negative = re.fullmatch(r"-\d[\d ]*(?:[,.]\d+)?(?: [€%])?", text.strip())
    return text.lstrip(" ").startswith(("=", "+", "@", "\t", "\r")) or (
        text.lstrip().startswith("-") and not negative
    )


def cells_of(path: Path) -> list[str]:
    """Every text of an exported file, as a spreadsheet would open it."""
    if path.suffix == ".csv":
        content = path.read_text(encoding="utf-8-sig")
        return [cell for row in csv.reader(io.StringIO(content, newline="")) for cell in row]
    book = openpyxl.load_workbook(path)
    for sheet in book.worksheets:
        for row in sheet.iter_rows():
            for cell in row:
                if cell.data_type == "f":  # live totals are the product's own formulas
                    assert re.match(r"=[A-Z]+\(", str(cell.value)) or "!" in str(cell.value), cell.value
                    assert not any(mark in str(cell.value) for mark in ("cmd", "HYPERLINK", "|"))
    return [
        str(cell.value) for sheet in book.worksheets for row in sheet.iter_rows() for cell in row
        if cell.value is not None and cell.data_type != "f"
    ]  # fmt: skip


def test_no_formula_of_the_data_is_live_in_what_the_build_writes(data: Path, tmp_path: Path) -> None:
    written = build(data, tmp_path / "processed")
    assert {path.suffix for path in written} >= {".csv", ".xlsx", ".json"}
    for path in written:
        if path.suffix in {".csv", ".xlsx"}:
            assert [text for text in cells_of(path) if risky(text)] == [], path.name
    assert fired(tmp_path) == []


@pytest.mark.parametrize("to", ["csv", "xlsx"])
def test_no_formula_of_the_data_is_live_in_an_export(data: Path, tmp_path: Path, to: str) -> None:
    out = tmp_path / f"export.{to}"
    exports.export(data, to=to, out=out)
    assert [text for text in cells_of(out) if risky(text)] == []


@pytest.mark.parametrize("command", [["check"], ["breakdown", "--by", "funder", "--by", "territory"]])
def test_no_formula_of_the_data_is_live_in_the_csv_of_the_command(
    data: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*command, "--data", str(data), "--format", "csv"]) == 0
    rows = list(csv.reader(io.StringIO(capsys.readouterr().out, newline="")))
    assert len(rows) > 1
    assert [cell for row in rows for cell in row if risky(cell)] == []


def test_no_formula_of_the_data_is_live_in_the_csv_of_a_page(pages: Path) -> None:
    seen = 0
    for path in pages.glob("*.html"):
        for link in html.document_fromstring(path.read_bytes()).iter("a"):
            if link.get("download", "").endswith(".csv"):
                with urlopen(link.get("href")) as opened:  # a data: address, nothing is fetched
                    content = opened.read().decode("utf-8-sig")
                cells = [
                    cell
                    for row in csv.reader(io.StringIO(content, newline=""), delimiter=";")
                    for cell in row
                ]
                assert [cell for cell in cells if risky(cell)] == []
                seen += len(cells)
    assert seen > 20


def test_the_changelog_of_hostile_data_holds_no_mark_up(data: Path, tmp_path: Path) -> None:
    """A collection that vanishes whole: every payload is told, none is a link, a tag or a control."""
    calm = tmp_path / "calm"
    shutil.copytree(ROOT / "data" / "raw", calm)
    said = told(diff(data, calm))
    assert "disparu" in said.lower()
    assert not re.search(r"(?<!\\)[<>`]|(?<!\\)\]\(", said)
    assert all(ord(c) >= 32 or c == "\n" for c in said)


# --- Pages and file names -------------------------------------------------------------------------------


def test_hostile_names_become_plain_file_names_inside_the_folder(pages: Path) -> None:
    names = sorted(path.name for path in pages.glob("*"))
    assert len(names) >= 8
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9-]*\.html|\.ess", name) for name in names), names
    assert fired(pages.parent) == [] and fired(pages.parent.parent) == []


def test_no_payload_became_an_element_of_a_page(pages: Path) -> None:
    for path in pages.glob("*.html"):
        page = html.document_fromstring(path.read_bytes())
        for node in page.iter():
            if not isinstance(node.tag, str):
                continue
            assert node.tag not in {"iframe", "object", "embed", "form", "base"}, (path.name, node.tag)
            handlers = [name for name in node.attrib if name.startswith("on") or name in {"srcdoc", "style"}]
            assert handlers == [], (path.name, node.tag, handlers)
            for name in ("href", "src", "action"):
                assert not re.match(r"\s*(javascript|vbscript|http)", node.get(name, ""), re.IGNORECASE)
        if path.name != "index.html":  # the index has its own script, to search
            assert list(page.iter("script")) == []
        assert "window.fired" in page.text_content() or path.name.startswith(
            ("rapport-annuel", "bilan", "qualite")
        )


@pytest.mark.parametrize("policy", ["kept", "removed"])
def test_no_payload_fires_in_a_browser(pages: Path, tmp_path: Path, browser: Browser, policy: str) -> None:
    page = browser.new_page()
    for path in sorted(pages.glob("*.html")):
        text = path.read_text(encoding="utf-8")
        if policy == "removed":
            text = re.sub(r"<meta[^>]*Content-Security-Policy[^>]*>", "", text)
        copy = tmp_path / path.name
        copy.write_text(text, encoding="utf-8")
        page.goto(copy.as_uri())
        page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        for link in page.query_selector_all("main a[href^='#']")[:3]:
            link.click(force=True)
        assert page.evaluate("window.fired") is None, path.name
    page.close()


# --- Parameters --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value", [*BREAKOUTS, "2013; open('fired','w')", "__import__('os').mknod('fired')", "2013\n1"]
)
@pytest.mark.parametrize("name", ["territory", "year"])
def test_a_parameter_that_wants_out_of_its_cell_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, value: str
) -> None:
    monkeypatch.chdir(tmp_path)
    report = {"territory": "fiche_territoire", "year": "rapport_annuel"}[name]
    where = ["--data", str(ROOT / "data" / "raw"), "--notebooks", str(ROOT / "notebooks"), "--out", "out"]
    assert cli.main(["report", report, "--set", f"{name}={value}", *where, "-q"]) == 2
    told_in_three = capsys.readouterr().err
    assert "À faire" in told_in_three and "Traceback" not in told_in_three
    assert fired(tmp_path) == [] and written_in(tmp_path) == []


@pytest.mark.parametrize("value", [*SCRIPTS, *BREAKOUTS, *FORMULAS, *NAMES[:2]])
def test_a_value_reaches_the_notebook_as_the_same_text(value: str) -> None:
    """Papermill writes parameters as source: what that source gives back is the value, and nothing ran."""
    from papermill.translators import PythonTranslator

    source = PythonTranslator.codify({"territory": value, "data": value})
    scope: dict[str, object] = {}
    exec(compile(source, "parameters", "exec"), {"__builtins__": {}}, scope)
    assert scope == {"territory": value, "data": value}


@pytest.mark.parametrize(
    "words",
    [
        ["report", "../../etc/passwd"],
        ["report", "rapport_annuel/../../x"],
        ["report", "--only", "../*"],
        ["explain", "../../../etc/passwd#src-1"],
        ["explain", "/etc/passwd#src-1"],
        ["diff", "/etc/passwd", "/etc/hostname"],
        ["check", "--data", "/etc/passwd"],
    ],
)
def test_a_path_in_place_of_a_name_is_refused(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    if words[0] == "report":
        words = [*words, "--data", str(ROOT / "data" / "raw"), "--notebooks", str(ROOT / "notebooks"), "-q"]
    if words[0] == "explain":
        words = [*words, "--data", str(ROOT / "data" / "raw")]
    assert cli.main(words) == 2
    said = capsys.readouterr()
    assert "Traceback" not in said.err and "root:" not in said.out + said.err
    assert written_in(tmp_path) == []


# --- Links, archives and the rest of the disk -------------------------------------------------------------


def test_a_symbolic_link_in_the_data_is_not_followed(data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "raw"
    shutil.copytree(data, folder)
    (folder / "aides.xlsx").unlink()
    (folder / "aides.xlsx").symlink_to(data / "aides.xlsx")
    with pytest.raises(DataError, match="lien symbolique"):
        load(folder)


def test_a_build_does_not_write_through_a_symbolic_link(data: Path, tmp_path: Path) -> None:
    """A link left where the build writes cannot make it overwrite another file."""
    precious = tmp_path / "precious.txt"
    precious.write_text("gardé", encoding="utf-8")
    out = tmp_path / "processed"
    build(data, out)
    (out / "funding.csv").unlink()
    (out / "funding.csv").symlink_to(precious)
    try:
        build(data, out)
    except DataError as refused:
        assert "À faire" in str(refused)
    assert precious.read_text(encoding="utf-8") == "gardé"


def test_the_json_of_the_command_is_plain_text(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["breakdown", "--by", "funder", "--data", str(data), "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["funder"] for row in rows} >= {SCRIPTS[0]}


def test_terminal_escapes_of_the_data_do_not_reach_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A title that would clear the screen, move the cursor or set the window's title, in a CSV."""
    folder = tmp_path / "raw"
    folder.mkdir()
    name = "\x1b[2J\x1b]0;pwned\x07Projet"
    content = f"Projet;Montant;Année\n{name};10,00;2013\n{name};10,00;2013\n".encode()
    (folder / "aides.csv").write_bytes(content)
    sheet = SHEET.format(digest=sha256(content).hexdigest()).replace("aides.xlsx", "aides.csv")
    sheet = re.sub(r"^sheet = .*\n", "", sheet, flags=re.MULTILINE)
    for header in ("Axe", "Financeur", "Opérateur", "Bénéficiaire", "Territoire"):
        sheet = re.sub(rf'^"{header}" = .*\n', "", sheet, flags=re.MULTILINE)
    (folder / "aides.csv.toml").write_text(sheet, encoding="utf-8")
    for words in (["check"], ["breakdown", "--by", "year"], ["explain", "2013"]):
        argument = [words[0], *words[1:], "--data", str(folder)]
        status = cli.main(argument)
        said = capsys.readouterr()
        assert status in (0, 1, 2) and "\x1b" not in said.out + said.err, words
