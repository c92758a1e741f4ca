"""The README and the guide say true: examples run, the dictionary and the rooms are those of the code."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from ess_analysis import cli, schema

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
GUIDE = (ROOT / "docs" / "guide.md").read_text(encoding="utf-8")
OPENS = {"watch", "explore"}  # they serve until stopped: tested on their own

PUBLISHED = """\
nomAttribuant;idAttribuant;dateConvention;referenceDecision;nomBeneficiaire;idBeneficiaire;objet;montant;nature;\
conditionsVersement;datesPeriodeVersement;idRAE;notificationUE;pourcentageSubvention
Ville de Lille;21590350100017;2015-03-02;D-1;Ciné cité social;;Festival;1500;aide en numéraire;unique;;;non;1
Ville de Lille;21590350100017;2015-04-02;D-2;Le Forum;;Fonctionnement;2500,50;aide en numéraire;unique;;;non;1
"""


def section(title: str, text: str = README) -> str:
    """The text of one « ## » section."""
    return text.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def commands(text: str) -> list[str]:
    """The `ess` commands of the indented blocks, without their comments, as typed."""
    lines = re.findall(r"^    (ess .+)$", text, re.MULTILINE)
    return sorted({re.split(r"\s+#", line)[0].split(" > ")[0].strip() for line in lines})


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what a user has, with the files that the examples name."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("data/raw", "notebooks"):
        shutil.copytree(ROOT / name, folder / name)
    for name in ("subventions.csv", "fichier.csv", "FILE"):
        (folder / name).write_text(PUBLISHED, encoding="utf-8")
    shutil.copytree(ROOT / "data/raw", folder / "data/raw-2014")
    for name in ("OLD", "NEW"):
        shutil.copytree(ROOT / "data/raw", folder / name)
    shutil.copy(ROOT / "notebooks/bilan.ipynb", folder / "mon_notebook.ipynb")
    return folder


@pytest.mark.parametrize("line", commands(README + GUIDE))
def test_every_example_runs_as_printed(
    line: str, project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = shlex.split(line)[1:]
    if words[0] in OPENS:
        cli.parser().parse_args(words)
        return
    if "--pdf" in words and not any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))):
        pytest.skip("Chromium absent : lancez tests/install-browser.sh")
    monkeypatch.chdir(project)
    assert cli.main(words) == cli.FINE, capsys.readouterr().err
    assert capsys.readouterr().out.strip()


def test_the_python_examples_run_as_printed(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    for block in re.findall(r"```python\n(.*?)```", README + GUIDE, re.DOTALL):
        found: dict[str, object] = {}
        exec(block, found)
        assert "tables" in found


def test_the_data_dictionary_is_the_one_of_the_schema() -> None:
    assert section("Data dictionary").strip() == schema.dictionary().strip()


def test_every_room_of_the_library_is_in_the_layout_in_its_order() -> None:
    from tests.test_house import ORDER

    listed = re.findall(r"^ {4}([a-z_]+)(?:\.py|/) ", section("How the code is laid out"), re.MULTILINE)
    assert listed == ORDER
