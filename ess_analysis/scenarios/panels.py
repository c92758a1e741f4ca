"""The scenarios in the hand: decisions and assumptions on one side, five tabs of answers on the other.

Widgets for JupyterLab and Voilà. A move computes again what the open tab shows, and nothing else.
"""

from __future__ import annotations

import base64
import gc
from collections.abc import Callable, Mapping
from dataclasses import replace
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import ipywidgets as W

from ess_analysis import french
from ess_analysis.display import Shown
from ess_analysis.errors import DataError
from ess_analysis.scenarios import answers, evidence, exploration, page
from ess_analysis.scenarios.answers import Exploration
from ess_analysis.scenarios.inputs import BADGES, STATUS_LABELS, Input
from ess_analysis.scenarios.settings import freeze

TABS = ("Résultats", "Ce qui bloque", "Bascule", "Critères", "Journal des hypothèses")
PAIRS = {f"{one} et {other}": (one, other) for one, other in exploration.PAIRS}
FIRST_PAIR = ("S1", "S2")
WEIGHTS = range(6)
_CSS = Path(__file__).with_name("panels.css")


class Panels:
    """What the notebook shows: `box` holds the widgets, `about` what the settings now give."""

    def __init__(self, about: Exploration, folder: Path, *, hosted: bool = False) -> None:
        self.about, self.folder, self.hosted = about, folder, hosted
        self.moved = page.FIRST_SHOWN
        self.shares = evidence.weights_of_assumptions(about.inputs, about.changes)
        self.weighed = dict(about.changes)  # the settings that `shares` was computed at
        self.controls = {one.id: _Control(one, about.values[one.id], self.move) for one in _movable(about)}
        self.live = W.HTML()
        self.freezing = _Freezing(self.freeze)
        self.tabs = W.Tab(
            [_Results(), _Blocks(), _Switches(self), _Arguments(self), _Log(self)], titles=list(TABS)
        )
        self.tabs.observe(lambda _: self.show(), "selected_index")
        self.box = self._laid_out()
        self._holding = False
        self.show()

    def _repr_mimebundle_(self, **asked: Any) -> Any:
        return self.box._repr_mimebundle_(**asked)

    def offline_page(self) -> page.OfflinePage:
        """The page that elected officials open without Jupyter, at its starting settings."""
        return page.OfflinePage(page.explorer(self.about.inputs, self.about.tables))

    def _laid_out(self) -> W.Box:
        reset = W.Button(description="Tout remettre au départ", layout=W.Layout(width="auto"))
        reset.on_click(lambda _: self.reset())
        assumptions = [one for one in _movable(self.about) if one.panel == "assumption"]
        main = [self.controls[one.id].box for one in assumptions if one.id in page.MAIN]
        others = [self.controls[one.id].box for one in assumptions if one.id not in page.MAIN]
        decisions = [self.controls[one.id].box for one in _movable(self.about) if one.panel == "decision"]
        more = W.Accordion([W.VBox(others)], titles=[f"Autres hypothèses ({len(others)})"])
        settings = W.VBox(
            [
                reset,
                _panel("Décisions", "Ce que la Métropole choisit.", decisions, "decision"),
                _panel("Hypothèses", "Ce que personne ne sait encore.", [*main, more], "assumption"),
                self.freezing.box,
            ]
        )
        found = W.VBox([self.live, self.tabs])
        settings.add_class("ess-settings")
        found.add_class("ess-answers")
        work = W.Box([settings, found])
        for name in ("ess", "ess-work"):
            work.add_class(name)
        return W.VBox([W.HTML(f"<style>{_CSS.read_text(encoding='utf-8')}</style>"), work])

    # --- What a reader does ---

    def move(self, name: str, value: float) -> None:
        """One setting takes a value; what is shown follows. A value put back at the start is no change."""
        if self._holding or value == self.about.values[name]:
            return
        changes = {key: kept for key, kept in self.about.changes.items() if key != name}
        if value != self.about.inputs[name].central:
            changes[name] = value
        self.moved = name
        self._now(changes)

    def reset(self) -> None:
        """Every setting back to where it starts."""
        self._now({})

    def _now(self, changes: Mapping[str, Any]) -> None:
        self.about = replace(self.about, changes=changes)
        self._holding = True
        for name, control in self.controls.items():
            control.at(self.about.values[name])
        self._holding = False
        self.show()

    def show(self) -> None:
        """The sentence and the open tab, at the present settings."""
        said = exploration.headline_told(self.about.inputs, self.about.changes)
        problems = " ".join(exploration.impossibilities(self.about.run))
        self.live.value = (
            f'<div aria-live="polite"><p class="ess-live">{_text(said)}</p>'
            f'<p class="ess-problem">{_text(problems)}</p></div>'
        )
        self.tabs.children[self.tabs.selected_index or 0].show(self)

    def weigh(self) -> None:
        """The weights of the assumptions computed again at the present settings."""
        self.shares = evidence.weights_of_assumptions(self.about.inputs, self.about.changes)
        self.weighed = dict(self.about.changes)
        self.show()

    def freeze(self, title: str, author: str) -> str:
        """The HTML that says where the frozen scenario is; a hosted one is offered for download only."""
        inputs, changes = self.about.inputs, self.about.changes
        try:
            with TemporaryDirectory() as aside:
                folder = aside if self.hosted else self.folder
                path = freeze(inputs, changes, folder, author=author, title=title)
                content = base64.b64encode(path.read_bytes()).decode()
        except DataError as error:
            return f'<p class="ess-problem">{_text(str(error))}</p>'
        link = (
            f'<a download="{escape(path.name)}" href="data:application/toml;base64,{content}">'
            f"Télécharger {escape(path.name)}</a>"
        )
        if self.hosted:
            return f"<p>Scénario figé. {link}</p>"
        project = inputs.data.resolve().parents[1]
        where = escape(str(path.relative_to(project) if path.is_relative_to(project) else path))
        return (
            f"<p>Scénario figé dans {where}. {link}</p>"
            f"<p>Pour en faire un rapport : <code>ess report scenarios --scenario {where}</code></p>"
        )


def panels(
    data: str | Path = "data/raw",
    *,
    scenario: str = "",
    draws: int = 1000,
    folder: str = "",
    hosted: bool = False,
) -> Panels:
    """The panels, at the starting settings or those of a frozen scenario.

    Frozen scenarios are written in `folder`, by default `scenarios` beside the data; nothing is kept there
    when `hosted`.
    """
    about = answers.explored(data, scenario=scenario, draws=draws)
    beside = about.inputs.data.resolve().parent / "scenarios"
    shown = Panels(about, Path(folder) if folder else beside, hosted=hosted)
    gc.collect()
    gc.freeze()  # what stays is never looked at again: a collection in the middle of a move takes 0.1 s
    return shown


def _movable(about: Exploration) -> list[Input]:
    return [one for one in about.inputs if not one.fixed]


def _text(text: str) -> str:
    return escape(french.typographic(text))


def _shown(*parts: Shown) -> str:
    """Sentences, tables and figures as HTML; a wide table scrolls by itself."""
    return (
        "".join(part.html() for part in parts)
        .replace("<table>", '<div class="ess-scroll"><table>')
        .replace("</table>", "</table></div>")
    )


# --- The settings ----------------------------------------------------------------------------------------


class _Control:
    """One input: its name, value and badge, a slider (or a list), where it comes from, a way back."""

    def __init__(self, one: Input, value: float, moved: Callable[[str, float], None]) -> None:
        self.one = one
        self.head, self.back = W.HTML(), W.Button(layout=W.Layout(width="auto"))
        self.back.description = f"Remettre {one.said(one.central)}"
        self.back.on_click(lambda _: moved(one.id, one.central) if self.back.description else None)
        self.move = self._slider(value)
        self.move.observe(lambda change: moved(one.id, self.snapped(change["new"])), "value")
        why = "".join(f"<p>{_text(text)}</p>" for text in (one.why, self._signed()))
        where = W.HTML(f"<details><summary>{_text('D’où vient cette valeur ?')}</summary>{why}</details>")
        self.box = W.VBox([self.head, self.move, self.back, where])
        self.box.add_class("ess-control")
        self.at(value)

    def _slider(self, value: float) -> Any:
        if self.one.choices:
            return W.Dropdown(options=list(self.one.choices.items()), value=value, tooltip=self.one.label)
        return W.FloatSlider(
            value=value, min=self.one.low, max=self.one.high, step=self.one.step, readout=False,
            tooltip=self.one.label, layout=W.Layout(width="auto"),
        )  # fmt: skip

    def _signed(self) -> str:
        sources = ", ".join(self.one.sources)
        status = french.sentence_case(STATUS_LABELS[self.one.status])
        return f"{status} ({sources}). Écrit par l’{self.one.author}, le {french.day(self.one.date)}."

    def snapped(self, value: float) -> float:
        """The value on a step of the slider, inside the bounds; the starting value holds its nearest step.

        A browser puts on a step a value that falls between two (8 554 € where steps are of 10 €).
        """
        one = self.one
        if one.choices:
            return value
        if abs(value - one.central) < one.step / 2:
            return one.central
        stepped = round(round((value - one.low) / one.step) * one.step + one.low, 10)
        return min(one.high, max(one.low, stepped))

    def at(self, value: float) -> None:
        """The control shows this value."""
        one, modified = self.one, value != self.one.central
        badge = BADGES["modified" if modified else one.status]
        look = "ess-badge modified" if modified else "ess-badge"
        bounds = "" if one.choices else f" {one.bounds}"
        head = (
            f'<div class="ess-top"><span>{_text(one.label)}</span><b>{_text(one.said(value))}</b></div>'
            f'<p class="ess-hint">{_text(one.explain)}</p>'
            f'<p class="ess-hint"><span class="{look}">{badge}</span>{_text(bounds)}</p>'
        )
        if self.head.value != head:
            self.head.value = head
        if one.choices or abs(self.move.value - value) >= one.step / 2:
            self.move.value = value
        shown = None if modified else "none"
        if self.back.layout.display != shown:
            self.back.layout.display = shown


def _panel(title: str, hint: str, boxes: list[Any], name: str) -> W.VBox:
    panel = W.VBox([W.HTML(f'<h3>{title}</h3><p class="ess-hint">{hint}</p>'), *boxes])
    for css in ("ess-panel", name):
        panel.add_class(css)
    return panel


class _Freezing:
    """A title, an author, a button: « figer ce scénario »."""

    def __init__(self, freeze: Callable[[str, str], str]) -> None:
        self.title = W.Text(placeholder="Titre du scénario", tooltip="Titre du scénario")
        self.author = W.Text(placeholder="Votre nom", tooltip="Votre nom")
        self.button = W.Button(description="Figer ce scénario", layout=W.Layout(width="auto"))
        self.said = W.HTML()
        self.button.on_click(lambda _: self.freeze(freeze))
        hint = "Réglages, statuts, auteur, date et empreinte de la note, dans un fichier qui se rejoue."
        self.box = _panel(
            "Figer ce scénario", hint, [self.title, self.author, self.button, self.said], "freezing"
        )

    def freeze(self, freeze: Callable[[str, str], str]) -> None:
        """The answer of the freeze, shown under the button."""
        self.said.value = freeze(self.title.value, self.author.value)


# --- The five tabs -----------------------------------------------------------------------------------------


class _Results(W.VBox):
    """What each scenario gives, and what comes from decisions."""

    def __init__(self) -> None:
        self.html = W.HTML()
        super().__init__([self.html])

    def show(self, panels: Panels) -> None:
        """The tab at the present settings."""
        about = panels.about
        parts = [answers.what_each_scenario_gives(about), answers.what_comes_from_decisions(about)]
        if about.values["tau"] < about.inputs["tau"].central:
            parts.append(answers.what_lille_would_lose(about))
        self.html.value = _shown(*parts)


class _Blocks(W.VBox):
    """What limits each scenario each year, and whether the staff can follow."""

    def __init__(self) -> None:
        self.html = W.HTML()
        super().__init__([self.html])

    def show(self, panels: Panels) -> None:
        """The tab at the present settings."""
        self.html.value = _shown(
            answers.what_blocks(panels.about), answers.can_the_staff_follow(panels.about)
        )


class _Switches(W.VBox):
    """Where the order changes when one setting moves, for the pair of scenarios chosen."""

    def __init__(self, panels: Panels) -> None:
        labels = [(one.label, one.id) for one in _movable(panels.about)]
        self.input = W.Dropdown(options=labels, value=panels.moved, description="Réglage")
        self.pair = W.Dropdown(options=list(PAIRS.items()), value=FIRST_PAIR, description="Scénarios")
        self.html, self.last = W.HTML(), panels.moved
        for choice in (self.input, self.pair):
            choice.observe(lambda _: panels.show(), "value")
        self.no_winner = exploration.no_winner(panels.about.inputs)
        super().__init__([W.HBox([self.input, self.pair]), self.html])

    def show(self, panels: Panels) -> None:
        """The tab at the present settings; the setting just moved becomes the one looked at."""
        if panels.moved != self.last:
            self.last = panels.moved
            if self.input.value != panels.moved:
                self.input.value = panels.moved  # shows the tab again
                return
        where = answers.where_this_one_changes_the_order(panels.about, self.input.value, self.pair.value)
        widest = answers.what_each_setting_changes(panels.about, *self.pair.value)
        said = f"<p>{_text(f'Lecture : {widest.reading}')}</p><p>{_text(self.no_winner)}</p>"
        self.html.value = _shown(where, widest) + said


class _Arguments(W.VBox):
    """The note's arguments, weighed by the reader."""

    def __init__(self, panels: Panels) -> None:
        criteria = panels.about.criteria
        self.sliders = {
            name: W.IntSlider(value=1, min=WEIGHTS[0], max=WEIGHTS[-1], description=label, tooltip=label)
            for name, label in criteria.labels.items()
        }
        rows: list[Any] = []
        for name, slider in self.sliders.items():
            slider.observe(lambda _: panels.show(), "value")
            slider.add_class("ess-swing")
            rows += [slider, W.HTML(f'<p class="ess-hint">{_text(criteria.swings[name])}.</p>')]
        self.html = W.HTML()
        self.always = ""
        ask = "Combien compte chaque passage, de 0 (pas du tout) à 5 (le plus) ?"
        super().__init__([W.HTML(f"<p><strong>{_text(ask)}</strong></p>"), *rows, self.html])

    def show(self, panels: Panels) -> None:
        """The tab at these weights; what weights do not change is computed once."""
        if not self.always:
            self.always = _shown(answers.does_one_argument_decide(panels.about))
        given = {name: float(slider.value) for name, slider in self.sliders.items()}
        self.html.value = _shown(answers.what_the_arguments_weigh(panels.about, given)) + self.always


class _Log(W.VBox):
    """The log of assumptions: how much each weighs, what it rests on, what was observed."""

    def __init__(self, panels: Panels) -> None:
        self.html, self.stale = W.HTML(), W.HTML()
        self.again = W.Button(description="Recalculer les poids", layout=W.Layout(width="auto"))
        self.again.on_click(lambda _: panels.weigh())
        super().__init__([self.stale, self.again, self.html])

    def show(self, panels: Panels) -> None:
        """The tab at the present settings, with the weights computed last."""
        old = panels.weighed != panels.about.changes
        told = "Les poids ont été calculés à d’autres réglages." if old else "Poids calculés à ces réglages."
        self.stale.value = f"<p>{_text(told)}</p>"
        self.again.layout.display = None if old else "none"
        self.html.value = log_html(
            evidence.log(panels.about.inputs, panels.about.changes, shares=panels.shares)
        )


def log_html(table: Any) -> str:
    """The log as an HTML table: the colour of a cell says what its words say, never more."""
    heads = ("Hypothèse", "Valeur", "Bornes", "Poids", "Fondement", "Observé", "Pourquoi", "Écrit par")
    rows = []
    for row in table.to_dict("records"):
        weight = f"{answers.IMPACT_MARKS[row['impact']]} {evidence.IMPACT_LABELS[row['impact']]}"
        cells = (
            ("", row["value"] + (" (modifié)" if row["modified"] else "")),
            ("", row["range"]),
            (f"ess-{row['impact']}", f"{weight} ({french.percent(row['share'])})"),
            (f"ess-{row['quality']}", evidence.QUALITY_LABELS[row["quality"]]),
            ("", evidence.VERDICT_LABELS[row["verdict"]]),
            ("ess-why", f"{row['why']} ({row['sources']})"),
            ("", f"{row['author']}, {french.day(row['date'])}"),
        )
        rows.append(
            f'<tr><th scope="row">{_text(row["label"])}</th>'
            + "".join(f'<td class="{css}">{_text(text)}</td>' for css, text in cells)
            + "</tr>"
        )
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    return (
        '<div class="ess-scroll"><table><caption>Journal des hypothèses, les plus lourdes d’abord</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
        f"<p>{_text(answers.weights_note())}</p>"
    )
