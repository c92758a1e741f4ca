"""The interactive notebook: panels, tabs, frozen scenarios; in JupyterLab, as an application, replayed."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import nbformat
import papermill
import pytest

from ess_analysis import cli, french
from ess_analysis.display import MIME
from ess_analysis.errors import DataError
from ess_analysis.scenarios import evidence, exploration, frozen_parameters, opening
from ess_analysis.scenarios.inputs import read_inputs
from ess_analysis.scenarios.panels import TABS, Panels, panels
from ess_analysis.scenarios.settings import freeze, read_frozen
from tests.conftest import absent

ROOT = Path(__file__).parents[1]
RAW = ROOT / "data" / "raw"
NOTEBOOK = ROOT / "notebooks" / "scenarios.ipynb"


@pytest.fixture(scope="module")
def shared() -> Panels:
    return panels(RAW, draws=200)


@pytest.fixture
def opened(shared: Panels, tmp_path: Path) -> Panels:
    """The panels at their starting settings, first tab open."""
    shared.reset()
    shared.folder, shared.hosted, shared.tabs.selected_index = tmp_path, False, 0
    for slider in shared.tabs.children[TABS.index("Critères")].sliders.values():
        slider.value = 1
    return shared


def tab(opened: Panels, title: str) -> Any:
    opened.tabs.selected_index = TABS.index(title)
    return opened.tabs.children[TABS.index(title)]


def text(html: str) -> str:
    html = re.sub(r"</?(?:a|span)\b[^>]*>", "", html)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", html)))


# --- Moving ------------------------------------------------------------


def test_every_input_that_can_move_is_in_one_of_two_panels(opened: Panels) -> None:
    inputs = opened.about.inputs
    assert set(opened.controls) == {one.id for one in inputs.panel("decision") + inputs.panel("assumption")}
    assert tuple(opened.tabs.titles) == TABS and len(TABS) == 5


def test_a_move_changes_the_sentence_the_badge_and_the_open_tab(opened: Panels) -> None:
    results, before = tab(opened, "Résultats"), opened.live.value
    shown = results.html.value
    opened.controls["tau"].move.value = 0.4
    said = french.typographic(exploration.headline_told(opened.about.inputs, {"tau": 0.4}))
    assert said in unescape(opened.live.value) and opened.live.value != before
    assert results.html.value != shown
    assert "modifié" in opened.controls["tau"].head.value
    assert "hypothèse" in opened.controls["H"].head.value
    assert "tiré de la note" in opened.controls["a"].head.value
    assert "La note ne dit pas lesquelles arrêter" in text(results.html.value)
    assert "ce qui vient des décisions" in text(results.html.value)


def test_a_value_put_back_at_the_start_is_no_change(opened: Panels) -> None:
    before = opened.live.value
    opened.controls["H"].move.value = 100
    assert opened.about.changes == {"H": 100.0}
    opened.controls["H"].move.value = 140
    assert opened.about.changes == {} and opened.live.value == before
    opened.controls["reading"].move.value = 4
    assert "Impossible de soutenir un projet" in opened.live.value
    opened.reset()
    assert opened.about.changes == {} and opened.controls["reading"].move.value == 1


def test_a_starting_value_between_two_steps_is_not_modified_when_the_browser_puts_it_on_a_step(
    opened: Panels,
) -> None:
    opened.controls["a"].move.value = 8550.0
    assert opened.about.changes == {}
    opened.controls["a"].move.value = 9000.0
    assert opened.about.changes == {"a": 9000.0}


def test_only_the_open_tab_is_computed_again(opened: Panels) -> None:
    blocks = tab(opened, "Ce qui bloque")
    tab(opened, "Résultats")
    before = blocks.html.value
    opened.controls["H"].move.value = 80
    assert blocks.html.value == before
    assert "équipe" in text(tab(opened, "Ce qui bloque").html.value) and blocks.html.value != before


# --- The tabs ------------------------------------------------------------


def test_the_reference_is_in_every_table_of_results(opened: Panels) -> None:
    shown = text(tab(opened, "Résultats").html.value)
    assert "S0 référence" in shown and "12,7" in shown and "La note ne donne aucun chiffre" in shown
    assert "S0 référence" in text(tab(opened, "Ce qui bloque").html.value)


def test_switching_values_follow_the_setting_moved_and_any_pair_can_be_asked(opened: Panels) -> None:
    switches = tab(opened, "Bascule")
    opened.controls["n_conv"].move.value = 3
    assert switches.input.value == "n_conv"
    assert "5,1 conventions" in text(switches.html.value)
    opened.reset()
    switches.input.value, switches.pair.value = "h_bil", ("S1", "S3")
    assert "Au-dessous de 2,65 jours par an" in text(switches.html.value)
    switches.input.value, switches.pair.value = "h_bil", ("S0", "S1")
    assert "ne change l’ordre entre S0 et S1" in text(switches.html.value)
    assert "La note ne tranche pas entre S1 et S2" in text(switches.html.value)


def test_weights_move_the_ranking_and_weights_of_zero_decide_nothing(opened: Panels) -> None:
    arguments = tab(opened, "Critères")
    assert "À poids égaux" in text(arguments.html.value)
    arguments.sliders["RH"].value = 5
    shown = text(arguments.html.value)
    assert "À ces poids" in shown and "Ce classement repose sur 21 cotations" in shown
    for slider in arguments.sliders.values():
        slider.value = 0
    assert "rien ne départage" in text(arguments.html.value)


def test_the_log_says_when_its_weights_are_those_of_other_settings(opened: Panels) -> None:
    log = tab(opened, "Journal des hypothèses")
    opened.weigh()
    assert "Poids calculés à ces réglages" in log.stale.value
    assert text(log.html.value).count("non éprouvée") == len(opened.about.inputs.panel("assumption"))
    assert 'class="ess-strong"' in log.html.value and 'class="ess-supposed"' in log.html.value
    opened.controls["r0"].move.value = 3
    assert "à d’autres réglages" in log.stale.value and "(modifié)" in text(log.html.value)
    log.again.click()
    assert "Poids calculés à ces réglages" in log.stale.value
    assert opened.shares == evidence.weights_of_assumptions(opened.about.inputs, {"r0": 3.0})


# --- Frozen scenarios ------------------------------------------------------------


def test_a_frozen_scenario_is_written_and_says_how_to_replay_it(opened: Panels, tmp_path: Path) -> None:
    opened.controls["tau"].move.value = 0.5
    opened.freezing.title.value, opened.freezing.author.value = "Moitié <b>", "A. Martin"
    opened.freezing.button.click()
    (path,) = tmp_path.glob("*.toml")
    assert read_frozen(path, opened.about.inputs).changes == {"tau": 0.5}
    assert "ess report scenarios --scenario" in opened.freezing.said.value
    assert "<b>" not in opened.freezing.said.value
    opened.freezing.button.click()
    assert len(list(tmp_path.glob("*.toml"))) == 2, "nothing is overwritten"
    again = panels(RAW, scenario=str(path), draws=20)
    assert again.about.changes == {"tau": 0.5} and again.controls["tau"].move.value == 0.5


def test_freezing_without_title_is_refused_in_the_panel(opened: Panels, tmp_path: Path) -> None:
    assert "titre et un auteur" in opened.freeze("", "x")
    assert list(tmp_path.iterdir()) == []


def test_a_hosted_application_keeps_nothing_and_offers_the_file(opened: Panels, tmp_path: Path) -> None:
    opened.hosted = True
    assert 'download="' in opened.freeze("titre", "x") and list(tmp_path.iterdir()) == []


def test_the_batch_replays_a_frozen_scenario(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inputs = read_inputs(RAW)
    path = freeze(inputs, {"tau": 0.5, "r0": 2}, tmp_path, author="A. Martin", title="Moitié pour Lille")
    asked = ["report", "--scenario", str(path), "--out", str(tmp_path / "out"), "--data", str(RAW)]
    asked += ["--notebooks", str(ROOT / "notebooks"), "--quiet"]
    assert cli.main(asked) == 0
    (page,) = (tmp_path / "out").glob("scenarios-*.html")
    assert path.stem in page.stem
    shown = text(page.read_text(encoding="utf-8")).replace("\u202f", " ")
    assert "Moitié pour Lille, par A. Martin" in shown
    assert text(exploration.headline_told(inputs, {"tau": 0.5, "r0": 2})) in shown
    assert "ce qui vient des décisions" in shown
    assert "Trois scénarios pour 2015-2020 : Moitié pour Lille" in shown
    capsys.readouterr()
    path.write_text(path.read_text(encoding="utf-8").replace("value = 0.5", "value = 0.6"), encoding="utf-8")
    assert cli.main([*asked, "--dry-run"]) == 0
    assert "les paramètres ont changé" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "introuvable"), ("title = 1", "n’est pas un scénario figé"), ("[[", "n’est pas lisible")],
)
def test_a_scenario_that_cannot_be_replayed_stops_the_command_with_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None, message: str
) -> None:
    path = tmp_path / "x.toml"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    assert cli.main(["report", "scenarios", "--scenario", str(path), "--data", str(RAW)]) == 2
    said = capsys.readouterr().err
    assert message in said and "À faire" in said and "Traceback" not in said


def test_the_settings_of_a_replay_name_the_file(tmp_path: Path) -> None:
    path = freeze(read_inputs(RAW), {"tau": 0.5}, tmp_path, author="x", title="y")
    assert frozen_parameters(path, RAW) == {"scenario": str(path.resolve())}


# --- The notebook itself ------------------------------------------------------------


def test_the_notebook_runs_under_papermill_and_hands_over_the_offline_page(tmp_path: Path) -> None:
    ran = papermill.execute_notebook(
        NOTEBOOK, tmp_path / "ran.ipynb", {"data": str(RAW), "draws": 50}, progress_bar=False
    )
    shown = [o["data"] for c in ran.cells for o in c.get("outputs", []) if "data" in o]
    assert any("application/vnd.jupyter.widget-view+json" in one for one in shown)
    (page,) = [one for one in shown if one.get(MIME, {}).get("kind") == "page"]
    assert page[MIME]["html"].startswith("<!DOCTYPE html>") and "Explorer les scénarios" in page[MIME]["html"]
    assert 'download="explorer.html"' in page["text/html"]


def test_explore_opens_the_notebook_in_jupyterlab_or_as_an_application(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    typed: list[list[str]] = []

    def call(command: list[str]) -> int:
        typed.append(command)
        cells = nbformat.read(command[-1], as_version=4).cells
        typed[-1].append(
            " ".join(c.source for c in cells if "injected-parameters" in c.metadata.get("tags", []))
        )
        return 0

    monkeypatch.setattr(subprocess, "call", call)
    monkeypatch.chdir(ROOT / "notebooks")
    assert cli.main(["explore"]) == 0 and cli.main(["explore", "--app"]) == 0
    lab, app = typed
    assert lab[1:3] == ["-m", "jupyterlab"] and Path(lab[3]) == NOTEBOOK and lab[4] == ""
    assert app[1:3] == ["-m", "voila"] and "hosted = True" in app[4] and str(RAW) in app[4]


def test_explore_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["explore"]) == 2
    assert "notebooks/scenarios.ipynb est introuvable" in capsys.readouterr().err
    with pytest.raises(DataError, match="Dossier de données absent"):
        opening.prepared(NOTEBOOK, tmp_path / "nulle-part", tmp_path, hosted=False)
    monkeypatch.setattr(opening, "find_spec", lambda name: None)
    assert cli.main(["explore", "--app"]) == 2
    assert "voila" in capsys.readouterr().err


# --- As an application ------------------------------------------------------------


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the notebook served by Voilà on this machine alone."""
    if opening.find_spec("voila") is None:
        absent("Voilà")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    notebook = opening.prepared(NOTEBOOK, RAW, tmp_path_factory.mktemp("app"), hosted=True)
    command = [sys.executable, "-m", "voila", str(notebook), "--no-browser", f"--port={port}"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(300):
        with socket.socket() as asked:
            if asked.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.2)
    yield f"http://127.0.0.1:{port}/"
    server.terminate()
    server.wait(20)


@pytest.mark.browser
def test_the_application_answers_a_move_of_the_keyboard(browser: Any, application: str) -> None:
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    page.goto(application, timeout=120_000)
    page.wait_for_selector(".ess-live", timeout=120_000)
    assert "14,7 projets soutenus" in page.inner_text(".ess-live")
    assert page.locator(".ess-badge.modified").count() == 0, "showing a slider does not move it"
    page.locator(".noUi-handle").first.focus()
    for _ in range(10):
        page.keyboard.press("ArrowLeft")
    page.wait_for_function("document.querySelector('.ess-live').innerText.includes('16,8')")
    assert page.locator(".ess-badge.modified").count() == 1
    assert "50" in page.locator(".ess-top").first.inner_text()
    for title in TABS:
        page.get_by_role("tab", name=title).click()
    page.wait_for_function("document.body.innerText.includes('Poids calculé')")
    page.close()
