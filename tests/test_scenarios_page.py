"""The offline page: the same numbers as Python, the same words with and without script, open to everyone."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ess_analysis import french
from ess_analysis.load import load
from ess_analysis.scenarios import equations, exploration
from ess_analysis.scenarios.inputs import Inputs, read_inputs
from ess_analysis.scenarios.page import DRAWS, write_explorer
from ess_analysis.scenarios.settings import settings

RAW = Path(__file__).parents[1] / "data" / "raw"


@pytest.fixture(scope="module")
def inputs() -> Inputs:
    return read_inputs(RAW, load(RAW))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_explorer(tmp_path_factory.mktemp("page") / "explorer.html", RAW)


@pytest.fixture(scope="module")
def html(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@pytest.fixture
def page(browser: Any, path: Path) -> Iterator[Any]:
    """The page opened from disk, network off; it fails if the page logs an error or asks for anything."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, offline=True, locale="fr-FR")
    page = context.new_page()
    trouble: list[str] = []
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("console", lambda message: trouble.append(message.text) if message.type == "error" else None)
    page.on(
        "request", lambda request: None if request.url.startswith("file:") else trouble.append(request.url)
    )
    page.goto(path.as_uri())
    settled(page)
    yield page
    context.close()
    assert trouble == []


def settled(page: Any) -> None:
    """Wait past the pause after which ranges, sentences and link are brought up to date."""
    while page.evaluate("later") != 0:  # wait_for_function would need unsafe-eval, which the policy forbids
        page.wait_for_timeout(30)


def slide(page: Any, name: str, value: float) -> None:
    page.eval_on_selector(
        f"#in-{name}",
        "(node, value) => { node.value = value; node.dispatchEvent(new Event('input', {bubbles: true})); }",
        str(value),
    )
    settled(page)


def random_settings(inputs: Inputs, count: int) -> list[dict[str, float]]:
    rng = np.random.default_rng(11)
    found = []
    for _ in range(count):
        values = {one.id: float(rng.uniform(one.low, one.high)) for one in inputs}
        found.append(values | {"reading": float(rng.choice([1, 2, 4]))})
    return found


# --- The same numbers ------------------------------------------------------------------------------


@pytest.mark.browser
def test_two_hundred_random_settings_give_pythons_numbers(page: Any, inputs: Inputs) -> None:
    drawn = random_settings(inputs, 200)
    there = page.evaluate("(all) => all.map((one) => simulate(one))", drawn)
    worst = 0.0
    for values, run in zip(drawn, there, strict=True):
        here = equations.simulate(values)
        for number, option in enumerate(equations.OPTIONS):
            assert set(run[option]) == set(equations.INDICATORS)
            for name in equations.INDICATORS:
                gaps = np.abs(here[name][number, :, 0] - np.array(run[option][name], dtype=float))
                assert gaps.shape == (6,) and np.isfinite(gaps).all()
                worst = max(worst, float(gaps.max()))
    assert worst <= 1e-9


@pytest.mark.browser
def test_ranges_are_those_of_python(page: Any, inputs: Inputs) -> None:
    changes = {"tau": 0.4, "H": 200.0}
    there = page.evaluate("(changes) => ranges({...CENTRAL, ...changes})", changes)
    records = exploration.scenarios(inputs, changes, draws=DRAWS).set_index(["option", "year", "indicator"])
    for option in equations.OPTIONS:
        for name in exploration.HEADLINES:
            low, high = records.loc[(option, 2020, name), ["low", "high"]]
            assert there[option][name] == pytest.approx([low, high], rel=1e-9)


def test_the_page_shows_the_ranges_of_the_report_and_of_the_notebook(html: str, inputs: Inputs) -> None:
    records = exploration.ends(
        equations.simulate(inputs.central()), exploration.spread(inputs, draws=1000)
    ).set_index(["indicator", "option"])
    for option in equations.OPTIONS:
        low, high = (
            exploration.said("N_sum", records.loc[("N_sum", option), end]) for end in ("low", "high")
        )
        assert f'id="r-N_sum-{option}">[{low} à {high}]' in html


@pytest.mark.browser
def test_switching_sentences_are_those_of_python(page: Any, inputs: Inputs) -> None:
    changes = {"e1": 0.6, "V1": 1.2}
    for name in ("V2", "tau", "n_conv", "r0", "h_bil", "m", "reading", "H"):
        there = page.evaluate(
            """([name, changes]) => {
              const all = {...CENTRAL, ...changes};
              return told(name, switches(all, name), all[name]);
            }""",
            [name, changes],
        )
        value = settings(inputs, changes)[name]
        found = exploration.switching(inputs, name, changes)
        assert there == exploration.switching_told(inputs, name, found, value), name


@pytest.mark.browser
def test_the_share_of_a_change_is_that_of_python(page: Any, inputs: Inputs) -> None:
    changes = {"tau": 0.4, "e2": 0.5, "r0": 2.5}
    there = page.evaluate("(changes) => { Object.assign(state, changes); return split('S2'); }", changes)
    here = exploration.split(inputs, changes, option="S2")
    for name in ("before", "after", "decisions", "assumptions", "interaction"):
        assert there[name] == pytest.approx(getattr(here, name), abs=1e-9)


@pytest.mark.browser
def test_what_is_impossible_is_said_in_pythons_words(page: Any, inputs: Inputs) -> None:
    for changes in ({"reading": 2}, {"reading": 4}, {"g": -1.0}, {"H": 0.0}, {"E0": 10_000, "I0": 10_000}):
        page.evaluate("(changes) => { Object.assign(state, CENTRAL, changes); show(); }", changes)
        settled(page)
        here = exploration.impossibilities(equations.simulate(inputs.central() | changes))
        assert page.inner_text("#problems") == french.typographic(" ".join(here)) != ""


# --- Without script, and with it -----------------------------------------------------------------------


def visible_text(browser: Any, path: Path, script: bool) -> str:
    context = browser.new_context(java_script_enabled=script)
    page = context.new_page()
    page.goto(path.as_uri())
    page.wait_for_timeout(600)
    text = page.locator(
        "css=:is(.answers, #bascule ~ *, #resultats ~ *, #ranking) >> visible=true"
    ).all_inner_texts()
    context.close()
    return "\n".join(text)


@pytest.mark.browser
def test_the_page_says_the_same_without_script_as_with_it_at_the_start(browser: Any, path: Path) -> None:
    with_script, without = (visible_text(browser, path, script) for script in (True, False))
    assert "14,7" in without and "Au-dessus de 1,15" in without
    shown_with_script = "Le dernier réglage déplacé est repris ici."
    assert with_script.replace(shown_with_script, "").split() == without.split()


def test_the_page_without_script_holds_results_blocks_communes_criteria_and_equations(html: str) -> None:
    text = re.sub(r"<script.*?</script>", "", html, flags=re.S)
    for words in (
        "De 2015 à 2020",
        "Ce qui bloque",
        "équipe (0,9)",
        "Sailly-lez-Lannoy",
        "□",
        "min(τₛ × T_L ; B)",
        "S0 est une référence",
        "dispositif visible d’une politique",
        "non détaillé dans l’annexe 2",
    ):
        assert words in text, words


# --- Moving ------------------------------------------------------------------------------------------------


@pytest.mark.browser
def test_a_slider_moves_everything_and_is_marked_as_modified(page: Any, inputs: Inputs) -> None:
    before = page.inner_text("#live")
    slide(page, "tau", 0.4)
    live = page.inner_text("#live")
    assert live != before
    assert live == french.typographic(exploration.headline_told(inputs, {"tau": 0.4}))
    assert page.inner_text("#badge-tau") == "modifié" and page.inner_text("#badge-H") == "hypothèse"
    assert page.inner_text("#badge-a") == "tiré de la note"
    assert page.inner_text("#out-tau") == "40\u00a0%"
    assert "lesquelles arrêter" in page.inner_text("#loss")
    assert "Et si «\u202fPart du transfert à Lille conservée\u202f»" in page.inner_text("#switchname")
    assert page.inner_text("#switchline").startswith("Part du transfert à Lille conservée\u00a0: au-dess")
    assert page.is_visible("#split")
    page.click("#reset-tau")
    settled(page)
    assert page.inner_text("#live") == before
    assert page.inner_text("#badge-tau") == "hypothèse" and not page.is_visible("#split")


@pytest.mark.browser
def test_the_keyboard_alone_moves_a_slider(page: Any) -> None:
    page.evaluate("() => { moved = 'NT'; show(); }")
    settled(page)
    assert page.inner_text("#switchline").startswith("Aucune valeur de «\u202fTerritoires à diagnostiquer")
    page.focus("#in-V2")
    page.keyboard.press("ArrowRight")
    settled(page)
    assert page.inner_text("#out-V2") == "0,91"
    assert page.get_attribute("#in-V2", "aria-valuetext") == "0,91"


@pytest.mark.browser
def test_a_value_off_the_sliders_steps_is_kept_until_it_is_moved(page: Any, inputs: Inputs) -> None:
    assert page.evaluate("state.a") == inputs["a"].central
    assert page.inner_text("#out-a") == "8\u202f554\u00a0€ par projet"


@pytest.mark.browser
def test_the_state_is_in_the_link_and_comes_back(page: Any, path: Path) -> None:
    slide(page, "tau", 0.4)
    slide(page, "V2", 1.15)
    link = page.url
    assert link.endswith("#tau=0.4&V2=1.15")
    page.goto("about:blank")
    page.goto(link)
    settled(page)
    assert page.inner_text("#out-tau") == "40\u00a0%" and page.inner_text("#out-V2") == "1,15"
    assert page.inner_text("#switchline").startswith("Visibilité en S2\u00a0: au-dess")
    assert page.inner_text("#linknote") == ""


@pytest.mark.browser
def test_a_contents_link_does_not_lose_the_state(page: Any) -> None:
    slide(page, "tau", 0.4)
    page.click("nav a[href='#calcul']")
    page.wait_for_url("**#tau=0.4")  # the address follows after the jump
    assert page.inner_text("#out-tau") == "40\u00a0%"


MANGLED = {
    "tau=7": ("ramenées à la borne\u00a0: Part du transfert à Lille conservée (100\u00a0%)", "100\u00a0%"),
    "tau=-3": ("ramenées à la borne\u00a0: Part du transfert à Lille conservée (0\u00a0%)", "0\u00a0%"),
    "tau=abc": ("illisibles, ignorés", "100\u00a0%"),
    "tau=": ("illisibles, ignorés", "100\u00a0%"),
    "tau=1e999": ("illisibles, ignorés", "100\u00a0%"),
    "zz=1": ("illisibles, ignorés", "100\u00a0%"),
    "E0=1": ("illisibles, ignorés", "100\u00a0%"),
    "reading=3": ("illisibles, ignorés", "100\u00a0%"),
    "__proto__=1": ("illisibles, ignorés", "100\u00a0%"),
    "constructor=1&tau=0.5": ("illisibles, ignorés", "50\u00a0%"),
    "%E0%A4%A=1&=&&=": ("illisibles, ignorés", "100\u00a0%"),
    "<img src=x onerror=alert(1)>=1": ("illisibles, ignorés", "100\u00a0%"),
}


@pytest.mark.browser
def test_a_mangled_link_is_clamped_or_ignored_and_it_is_said(page: Any, path: Path) -> None:
    for state, (note, shown) in MANGLED.items():
        page.goto("about:blank")
        page.goto(f"{path.as_uri()}#{state}")
        settled(page)
        assert note in page.inner_text("#linknote"), state
        assert page.inner_text("#out-tau") == shown, state
        assert page.locator("img").count() == 0, state


@pytest.mark.browser
def test_weights_that_sum_to_zero_decide_nothing(page: Any) -> None:
    assert "repose sur 21 cotations" in page.inner_text("#ranking")
    page.evaluate("() => { for (const id of DATA.criteria.ids) weights[id] = 0; show(); }")
    assert page.inner_text("#ranking") == "Tous les poids sont à zéro : rien ne départage les scénarios."


@pytest.mark.browser
def test_my_commune_reads_what_happened_there(page: Any) -> None:
    assert page.inner_text("#told") == "" and not page.is_visible("#opens")
    page.select_option("#commune", label="Hem")
    told = page.inner_text("#told")
    assert "Hem est nommée dans l’annexe 1" in told and "€" not in told
    assert "une commune peut" in page.inner_text("#opens")


# --- Open to everyone ---------------------------------------------------------------------------


def test_the_page_asks_for_nothing_and_runs_only_its_own_script(html: str) -> None:
    assert not re.search(r"""(?:src|href)=["'](?!#)""", html)
    assert "http:" not in html and "https:" not in html
    assert " style=" not in html and not re.search(r"\son[a-z]+=", html)
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', html)
    assert policy and "default-src &#39;none&#39;" in policy[1].replace("'", "&#39;")
    (script,) = re.findall(r"<script>(.*?)</script>", html, flags=re.S)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"sha256-{digest}" in policy[1]


def test_identifiers_are_unique_and_headings_never_jump(html: str) -> None:
    body = re.sub(r"<script.*?</script>", "", html, flags=re.S)
    ids = re.findall(r'\sid="([^"]+)"', body)
    assert len(ids) == len(set(ids))
    levels = [int(level) for level in re.findall(r"<h([1-6])", body)]
    assert levels.count(1) == 1 and levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert "Que faut-il savoir sur ces chiffres\u202f?" in body


@pytest.mark.browser
@pytest.mark.parametrize(
    ("state", "scheme"), [("", "light"), ("#tau=0.4&V2=1.2", "dark"), ("#reading=4", "light")]
)
def test_axe_finds_nothing(browser: Any, path: Path, state: str, scheme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    context = browser.new_context(color_scheme=scheme)
    page = context.new_page()
    page.goto(path.as_uri() + state)
    settled(page)
    page.evaluate("() => document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    page.select_option("#commune", label="Lille")
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    found = Axe().run(page, options={"runOnly": {"type": "tag", "values": tags}}).response
    context.close()
    for kind in ("violations", "incomplete"):
        assert [(one["id"], one["nodes"][0]["target"]) for one in found[kind]] == [], kind


@pytest.mark.browser
def test_nothing_overflows_on_a_narrow_screen(page: Any) -> None:
    page.evaluate("() => document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    for width in (320, 640, 1024):
        page.set_viewport_size({"width": width, "height": 700})
        assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.browser
def test_paper_carries_the_settings(page: Any) -> None:
    slide(page, "tau", 0.4)
    page.emulate_media(media="print")
    assert page.is_visible("#set-tau") and page.inner_text("#set-tau") == "40\u00a0%"
    assert page.inner_text("#status-tau") == "modifié" and page.inner_text("#status-a") == "tiré de la note"
    assert not page.is_visible("#in-tau")
    assert not page.is_visible("#w-RH") and not page.is_visible("#commune")
    page.set_viewport_size({"width": 688, "height": 1000})  # the width of A4 between its margins
    assert page.evaluate("document.documentElement.scrollWidth") <= 688
    assert "Part du transfert à Lille conservée (40\u00a0%)" in page.inner_text("#splitline")
    assert page.is_visible("#live")
