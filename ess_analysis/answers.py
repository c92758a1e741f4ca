"""The questions of the reports, one function each: what is asked → a figure, a sentence, a table.

A notebook says what it is about with `about(...)`, then asks. Where the data say nothing, the answer is a
sentence that says so: never an empty chart, never a zero in place of a silence.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from ess_analysis import figures, french, schema, sentences
from ess_analysis.about import (
    GRAND_TOTAL,
    LATEST_FIRST,
    STRONGEST,
    About,
    about,
    communes_reached,
    delivery_by_operator,
    envelope_readings,
    funders,
    not_itemised,
    ranked,
    stage_sums,
    stated_against_lines,
    strongest,
)
from ess_analysis.display import SILENCE, Cover, Glossary, Group, Listing, Number, Sentence, Shown
from ess_analysis.sentences import STAGE_WORDS, amount, as_title, count, joined, listed, said, worded
from ess_analysis.tables import display_table
from ess_analysis.traces import amount_trace, cells_of, count_of, total_trace, written

__all__ = ["about"]  # and every question below
ALERTS, ALIKE = 8, 3  # told in every report, of one code; the report on quality has them all


def shown(*items: Shown | None) -> Group:
    """The items that have something to show."""
    return Group(tuple(item for item in items if item))


# --- The top of a report -----------------------------------------------------------------------------


def cover(asked: About, name: str) -> Cover:
    """The top of the report: which report, over what, made from which data of which date."""
    read = [sheet for sheet in asked.tables.sources if sheet.tables]
    over = asked.territory or asked.funder
    years = asked.years or []
    period = f"{years[0]}-{years[-1]}" if len(years) > 1 else str(*years)
    facts = {
        "Période": period or "toutes les années",
        "Territoire": asked.territory or ("tous" if asked.tables.places["territory"].notna().any() else ""),
        "Financeur": asked.funder,
        "Données": french.typographic(french.listing(dict.fromkeys(sheet.title for sheet in read))),
        "Producteur": french.typographic(french.listing(producers(asked))),
        "Date des données": french.listing(dict.fromkeys(french.month(str(sheet.date)) for sheet in read)),
    }
    title = f"{name} : {over}" if over else f"{name} {period}".strip()
    if not over and (whose := body(asked)):
        title += f" · {whose}"
    return Cover(
        french.typographic(title), SILENCE, tuple((label, fact) for label, fact in facts.items() if fact)
    )


def producers(asked: About) -> list[str]:
    """Who made the tables, where their source sheets say it."""
    found = (str(sheet.producer) for sheet in asked.tables.sources if sheet.tables and sheet.producer)
    return [name for name in dict.fromkeys(found) if not re.match("non précisée?$", name)]


def body(asked: About) -> str:
    """Whose report it is: the only funder of the whole data, else their only producer, else nothing."""
    for names in (asked.tables.funding["funder"].dropna().unique(), producers(asked)):
        if len(names) == 1:
            return str(names[0]).split(", avec ")[0]
    return ""


def key_points(asked: About) -> Listing:
    """« À retenir » : three to five sentences, the most useful first."""
    if asked.dated.empty:
        points = [silence(asked), dated_years(asked), undated_told(asked)]
    else:
        points = [
            effort_told(asked),
            stages_told(asked),
            share_told(asked),
            SILENCE if effort_told(asked) else funder_told(asked),
            axis_told(asked),
            concentration_told(asked),
            not_itemised_told(asked),
            shared_told(asked),
            undated_told(asked),
            communes_told(asked),
            records_told(asked),
        ]
    return Listing(tuple([point for point in points if point][:5]), "keypoints")


def quality_points(asked: About) -> Listing:
    """« À retenir » of the report on quality: what was found, what adds up, what does not, what is silent."""
    points = [findings_told(asked), exact_totals_told(asked), not_itemised_told(asked), undated_told(asked)]
    return Listing(tuple(point for point in [*points, shared_told(asked)] if point), "keypoints")


def nothing(template: str, **values: str) -> Sentence:
    """That the data do not answer: a page gathers such questions."""
    return replace(said(template, **values), role="nothing")


# --- The questions -----------------------------------------------------------------------------------


def how_much(asked: About) -> Group:
    """How much at each stage, and from whom; what carries no year, what lines do not explain."""
    sums = stage_sums(asked)
    if sums.empty:
        return shown(silence(asked), dated_years(asked), undated_told(asked))
    frame = pd.concat([asked.by("funder", stage=stage).assign(stage=stage) for stage in sums["stage"]])
    frame["stage"] = frame["stage"].map(schema.STAGE_LABELS).map(french.sentence_case)
    told = (not_itemised_told(asked), undated_told(asked), shared_told(asked), other_kinds(asked))
    if len(frame) == 1:  # one bar says no more than its number
        return shown(stages_told(asked), *told)
    figure = figures.stacked_bars(
        frame,
        "stage",
        "funder",
        order=asked.funder_order,
        added=False,
        title=sentences.headline(sums, asked.when),
        alt=alt("Barres : montants par étape et par financeur", asked),
        reading=sentences.stages_not_added() if len(sums) > 1 else SILENCE,
        source=source(asked, frame),
    )
    return shown(figure, *told)


def who_funds(asked: About) -> Group:
    """How much each funder brings, each euro once; what its stated totals hold beyond lines, hatched."""
    if asked.dated.empty:
        return shown(not_said(asked, "attribué à un financeur"))
    frame = ranked(asked.once("funder"), "funder")
    if frame["missing"].all():
        return shown(not_said(asked, "attribué à un financeur"))
    if len(frame) == 1:
        return shown(sentences.leader(frame, "financeur", once_counted(asked)))
    gaps = not_itemised(asked)
    beyond = gaps[~gaps["funder"].isin(counted_at_a_later_stage(asked))]
    beyond = beyond[["funder", "amount_eur", "trace"]].set_axis(["name", "gap_eur", "gap_eur_trace"], axis=1)
    both = frame.drop(columns="missing").merge(beyond, on="name", how="left", validate="one_to_one")
    both["gap_eur_trace"] = both["gap_eur_trace"].astype(object).where(both["gap_eur"].notna(), None)
    apart = said("La part hachurée, annoncée sans être détaillée, n'est pas comptée dans ce pourcentage.")
    figure = figures.ranked_bars(
        both if len(beyond) else frame.drop(columns="missing"),
        "name",
        title=as_title(sentences.part_of_all(frame, ("apporte", "apportent"), once_counted(asked))),
        alt=alt("Barres : montants par financeur", asked),
        aside=("gap_eur", schema.NOT_ITEMISED) if len(beyond) else None,
        labels={"name": "Financeur", "amount_eur": "Détaillé" if len(beyond) else "Montant"},
        reading=joined([once_read(asked), apart if len(beyond) else SILENCE]),
        source=source(asked, frame),
    )
    return shown(figure)


def who_funds_which_axis(asked: About) -> Group:
    """Who funds which axis, at the stage that says it best."""
    stage = asked.stage_that_tells("axis")
    if stage is None:
        return shown(not_said(asked, "rattaché à un axe", "axis"))
    figure = figures.stacked_bars(
        asked.by("axis", "funder", stage=stage),
        "axis",
        "funder",
        order=asked.funder_order,
        title=as_title(axis_told(asked)),
        alt=alt("Barres : montants par axe et par financeur", asked),
        source=source(asked, asked.by("axis", "funder", stage=stage)),
    )
    found = funders(asked, stage)
    told = sentences.leader(found, "financeur", money(stage, asked)) if len(found) > 1 else None
    return shown(figure, None if asked.funder else told, other_stages(asked, stage))


def which_territories(asked: About) -> Group:
    """What each territory receives, at the stage that says it best; what carries no year apart."""
    stage = asked.stage_that_tells("territory")
    if stage is None:
        return shown(not_said(asked, "rattaché à un territoire", "territory"))
    dated = ranked(asked.by("territory", stage=stage), "territory")
    undated = ranked(asked.by("territory", stage=stage, undated=True), "territory")
    undated = undated if asked.years else undated.iloc[:0]  # without a year asked, they are in `dated`
    apart = undated[["name", "amount_eur", "trace"]]
    apart = apart.rename(columns={"amount_eur": "undated_eur", "trace": "undated_eur_trace"})
    both = dated.merge(apart, on="name", how="outer", validate="one_to_one")
    whole = money(stage, asked)
    if len(undated):
        whole = f"montants {STAGE_WORDS[stage][1]} et datés {asked.of_when}"
    figure = figures.ranked_bars(
        both.drop(columns=["missing", "share", "share_trace"])
        if len(undated)
        else dated.drop(columns="missing"),
        "name",
        title=as_title(sentences.leader(dated, "territoire", whole)),
        alt=alt("Barres : montants par territoire", asked),
        aside=("undated_eur", schema.MISSING_LABELS["year"]) if len(undated) else None,
        labels={"name": "Territoire", "amount_eur": "Daté" if len(undated) else "Montant"},
        source=source(asked, both),
    )
    apart_told = undated_told(asked, stage)
    if len(undated):
        apart_told = said("{told} Ces montants sont hachurés.", told=apart_told)
    return shown(figure, apart_told, shared_told(asked), other_stages(asked, stage))


def how_concentrated(asked: About) -> Group:
    """Whether the money goes to many or few recipients; over all years where one year shows a single one."""
    wide = recipients_scope(asked)
    stage = None if asked.dated.empty else wide.stage_that_tells("recipient")
    if stage is None:
        return shown(not_said(asked, "attribué à un bénéficiaire nommé", "recipient"))
    frame = ranked(wide.by("recipient", stage=stage), "recipient")
    figure = figures.ranked_bars(
        frame.drop(columns="missing"),
        "name",
        title=as_title(concentration_told(asked)),
        alt=alt("Barres : part de chaque bénéficiaire", wide),
        written="share",
        labels={"name": "Bénéficiaire"},
        source=source(asked, frame),
    )
    return shown(figure, other_stages(wide, stage))


def is_the_envelope_kept(asked: About) -> Group:
    """What was awarded against each envelope, under each reading of the years it covers."""
    frame = envelope_readings(asked)
    if frame.empty:
        return shown(
            nothing("Aucune enveloppe détaillée par des montants accordés ne figure dans les données.")
        )
    followed: list[Any] = frame[frame["default"]].to_dict(orient="records") or frame.to_dict(orient="records")
    envelopes: list[list[Any]] = [
        same.to_dict(orient="records") for _, same in frame.groupby("title", sort=False)
    ]
    told = [sentences.envelope(readings) for readings in envelopes]
    figure = figures.envelope_bars(
        frame.drop(columns=["default", "one_trace", "title"]),
        title=as_title(sentences.envelope_kept(followed[0])),
        alt=alt("Barres : montants accordés face à l'enveloppe", asked.always),
        source=source(asked, frame),
    )
    why = french.typographic((asked.tables.readings or {}).get("envelope", {}).get("why", ""))
    read = said("Lecture suivie : enveloppe {reading}. {why}", reading=followed[0]["reading"], why=why)
    return shown(figure, *told, read if why else None)


def do_lines_explain_totals(asked: About) -> Group:
    """Each total that the document announces, against the lines it covers."""
    frame = stated_against_lines(asked)
    if frame.empty:
        return shown(nothing("Aucun total n'est annoncé {of}.", of=asked.when))
    worst = frame.iloc[int(frame["gap_eur"].abs().argmax())]
    figure = figures.ranked_bars(
        frame.drop(columns="table_id"),
        "name",
        title=as_title(
            sentences.worst_gap(
                "" if worst["name"] == GRAND_TOTAL else worst["name"],
                worst["gap_eur"],
                worst["gap_eur_trace"],
                worst["stated_eur"],
                worst["stated_eur_trace"],
            )
        ),
        alt=alt("Barres : totaux annoncés, détaillés ou non", asked),
        aside=("gap_eur", schema.NOT_ITEMISED),
        leader=False,
        labels={"name": "Total annoncé", "amount_eur": "Détaillé"},
        source=source(asked, frame),
    )
    return shown(figure, exact_totals_told(asked))


def who_carries_out(asked: About) -> Group:
    """Who carries the actions out, and for how much."""
    frame = delivery_by_operator(asked)
    if len(frame):
        lines = frame.to_dict(orient="records")
        whole: list[Any] = [total_trace([row["trace"], row["gap_eur_trace"]]) for row in lines]
        order = ranked(frame.assign(trace=whole, amount_eur=0.0), "name")
        title = sentences.leader(order, "opérateur", f"montants à réaliser {asked.when}")
    else:
        stage = asked.stage_that_tells("operator")
        if stage is None:
            return shown(not_said(asked, "attribué à qui le réalise", "operator"))
        frame = ranked(asked.by("operator", stage=stage), "operator")
        title = sentences.leader(frame, "opérateur", money(stage, asked))
        frame = frame.drop(columns="missing")
        if len(frame) == 1:
            return shown(title, other_stages(asked, stage))
    figure = figures.ranked_bars(
        frame,
        "name",
        title=as_title(title),
        alt=alt("Barres : montants par opérateur", asked),
        aside=("gap_eur", schema.NOT_ITEMISED) if "gap_eur" in frame else None,
        labels={"name": "Opérateur", "amount_eur": "Détaillé" if "gap_eur" in frame else "Montant"},
        source=source(asked, frame),
    )
    return shown(figure)


def which_communes(asked: About) -> Group:
    """The communes that the records name, on the map of the reference."""
    if asked.dated.empty:
        return shown(not_said(asked, "rattaché à une commune"))
    frame = communes_reached(asked)
    if names := elsewhere(asked):
        told = said("Les lieux nommés ({n}) sont pour la plupart hors de la référence des communes.", n=names)
        return shown(told)
    if not frame["count"].any():
        return shown(nothing("Aucune commune de la référence n'est nommée par ces actions et projets."))
    title = as_title(communes_told(asked))
    figure = figures.places_map(
        frame, title=title, alt=alt("Carte : communes nommées", asked), source=source(asked, frame)
    )
    return shown(figure, undated_records_told(asked))


def which_results(asked: About) -> Group:
    """The results as the document states them, whole, their quantities traced."""
    told = asked.tables.indicators
    told = told[told["record_id"].isin(asked.record_ids)]
    if asked.dated.empty:
        return shown(not_said(asked, "rattaché à un résultat"))
    if told.empty:
        return shown(nothing("Les données n'énoncent aucun résultat chiffré."))
    titles = asked.tables.records.set_index("record_id")["title"]
    rows = pd.DataFrame(
        [
            {
                "title": titles.get(record, record),
                "text": joined([quoted(cell, asked) for _, cell in same.groupby("cell", sort=False)], " · "),
            }
            for record, same in told.groupby("record_id", sort=False)
        ]
    )
    caption = said("Les résultats, tels qu'ils sont énoncés")
    return shown(
        display_table(rows, caption, note=source(asked, told)),
        undated_records_told(asked),
    )


def which_years(asked: About) -> Group:
    """How much each year, each euro counted once; what carries no year apart."""
    if asked.dated.empty:
        return shown(silence(asked))
    frame = asked.once("year", "funder")
    frame["year"] = frame["year"].astype(str)
    years = ranked(frame, "year")
    if len(years) == 1:  # one bar says no more than its number
        return shown(sentences.strongest_year(years) or undated_told(asked))
    figure = figures.stacked_bars(
        frame,
        "year",
        "funder",
        order=asked.funder_order,
        title=as_title(sentences.strongest_year(years)),
        alt=alt("Barres : montants par année et par financeur", asked),
        in_order=True,
        reading=once_read(asked),
        source=source(asked, frame),
    )
    return shown(figure)


def which_share(asked: About) -> Group:
    """What this territory or this funder weighs among the others."""
    word = "territoire" if asked.territory else "financeur"
    frame, _ = everyone(asked)
    if not share_told(asked):
        return shown(not_said(asked, f"rattaché à un {word}"))
    figure = figures.ranked_bars(
        frame.drop(columns="missing"),
        "name",
        title=as_title(share_told(asked)),
        alt=alt(f"Barres : montants par {word}", asked),
        accent=asked.territory or asked.funder,
        labels={"name": french.sentence_case(word)},
        reading=SILENCE if asked.territory else once_read(asked),
        source=source(asked, frame),
    )
    return shown(figure)


def which_projects(asked: About, most: int = 40) -> Group:
    """The actions and projects, a line for each amount, greatest first; past `most`, the others together."""
    frames = [
        asked.by("title", "recipient", "funder", "year", "stage", stage=stage) for stage in LATEST_FIRST
    ]
    frame = pd.concat([one for one in frames if len(one)] or frames[:1], ignore_index=True)
    frame = frame[~frame["title"].map(figures.nameless)]
    if frame.empty:
        return shown(not_said(asked, "rattaché à un projet"))
    frame = frame.sort_values("amount_eur", ascending=False, kind="stable")
    rest = frame.iloc[most:]
    names = ["title", "recipient", "funder", "year", "stage"]
    dull = {"funder"} if asked.funder else set()  # the same on every line
    dull |= {"recipient"} if frame["recipient"].map(figures.nameless).all() else set()
    table = display_table(
        frame.iloc[:most][[*(name for name in names if name not in dull), "amount_eur", "trace"]],
        said("Les actions et projets, du plus haut montant au plus bas"),
        note=source(asked, frame),
    )
    stages = sentences.stages_not_added()
    told = [stages if frame["stage"].nunique() > 1 else None, shared_told(asked) if asked.funder else None]
    if rest.empty:
        return shown(table, *told)
    trace = total_trace(rest["trace"])
    others = french.plural(len(rest), "autre montant", "autres montants")
    left = said(
        "Et {n} {others}, {sum} en tout.",
        n=french.number(len(rest)),
        others=others,
        sum=amount(trace["value"], trace),
    )
    return shown(table, left if rest["stage"].nunique() == 1 else None, *told)


def which_findings(asked: About) -> Group:
    """What the checks found: how many of each severity, then each with its place."""
    rows = placed(asked.findings)[["severity", "message", "where"]]
    rows["message"] = rows["message"].map(asked.finding)
    caption = said("Ce que les contrôles ont trouvé, le plus grave d'abord")
    return shown(
        findings_told(asked), display_table(rows, caption, labels={"where": "Où"}) if len(rows) else None
    )


def what_is_missing(asked: About) -> Group:
    """The amounts that say no year, axis, funder, recipient or territory, stage by stage."""
    rows = []
    for stage in LATEST_FIRST:
        for column, label in _SAID_OF_AN_AMOUNT.items():
            frame = asked.by(column, stage=stage)
            silent = frame[frame[column].map(figures.nameless) & frame["count"].gt(0)]
            rows += [{**row, "what": f"{label}, {money(stage)}"} for row in silent.to_dict(orient="records")]
    if not rows:
        return shown(
            said("Chaque montant dit son année, son axe, son financeur, son bénéficiaire et son territoire.")
        )
    frame = pd.DataFrame(rows)[["what", "amount_eur", "share", "trace", "share_trace"]]
    return shown(
        display_table(frame, said("Ce que les lignes ne disent pas"), labels={"what": "Information absente"})
    )


_SAID_OF_AN_AMOUNT = {
    "year": "Année",
    "axis": "Axe",
    "funder": "Financeur",
    "recipient": "Bénéficiaire",
    "territory": "Territoire",
}


def which_names_were_matched(asked: About) -> Group:
    """The names that reading brought near another, never in silence."""
    found = asked.findings[asked.findings["code"].str.contains("PLACE|NAME|LABEL", case=False)]
    if found.empty:
        return shown(said("Tous les noms ont été lus tels qu'ils sont écrits."))
    rows = placed(found)[["stated", "message", "where"]]
    rows["message"] = rows["message"].map(asked.finding)
    caption = said("Les noms rapprochés d'un autre, ou restés sans commune")
    return shown(display_table(rows, caption, labels={"where": "Où"}))


def which_remarks(asked: About) -> Group:
    """The remarks that no arithmetic can find, written beside the data by those who read them."""
    remarks = asked.tables.remarks
    if remarks is None or remarks.empty:
        return shown(said("Aucune remarque n'accompagne ces données."))
    labels = {"place": "Où dans le document", "remark": "Remarque", "treatment": "Traitement"}
    rows = remarks[list(labels)].map(french.typographic)
    return shown(display_table(rows, said("Les remarques de ceux qui ont lu le document"), labels=labels))


def what_to_know(asked: About) -> Group:
    """Alerts, the widest gaps first, then readings, sources, acronyms: what the figures rest on."""
    alerts = asked.findings[asked.findings["severity"].ne("info")]
    alerts = alerts.iloc[(-alerts["gap"].abs().fillna(0)).argsort(kind="stable")]
    corrected = asked.findings[asked.findings["code"].str.contains("CORRECT", case=False)]
    alerts = alerts[alerts.groupby("code").cumcount() < ALIKE]
    messages = dict.fromkeys([*alerts["message"].iloc[:ALERTS], *corrected["message"]])
    rest = None
    if asked.findings["severity"].ne("info").sum() > min(len(alerts), ALERTS):
        rest = said("Les autres alertes sont dans le rapport sur la qualité des données.")
    told = Listing(tuple(asked.finding(message) for message in messages))
    return shown(findings_told(asked), told, rest, *what_they_rest_on(asked).items)


def what_they_rest_on(asked: About) -> Group:
    """Readings, sources, acronyms: what the figures rest on, alerts left aside."""
    return shown(readings_table(asked), sources_table(asked), glossary(asked))


# --- Sentences of what is asked ------------------------------------------------------------------------


def money(stage: str, asked: About | None = None) -> str:
    """« montants prévus en 2013 »."""
    if asked is None or not (asked.years or asked.widened):
        return f"montants {STAGE_WORDS[stage][1]}"
    return f"montants {STAGE_WORDS[stage][1]}{' ' if asked.years else ', '}{asked.when}"


def effort_told(asked: About) -> Sentence:
    """What each funder brings, each euro once, where several stages tell the same money."""
    if asked.dated["stage"].nunique() < 2:
        return SILENCE
    frame = ranked(asked.once("funder"), "funder")
    if asked.funder is None:
        return sentences.effort(frame, asked.when)
    whole = total_trace(frame["trace"])
    return said(
        "{when}, {amount} de soutien, " + sentences.counted_once() + ".",
        when=french.sentence_case(asked.when),
        amount=amount(whole["value"], whole),
    )


def once_read(asked: About) -> Sentence:
    """How the amounts of several stages are put together, as the reading line of a figure."""
    if asked.dated["stage"].nunique() < 2:
        return SILENCE
    return said(f"Chaque {french.currency_noun()} est compté une seule fois, à son étape la plus avancée.")


def counted_at_a_later_stage(asked: About) -> set[str]:
    """The funders whose plan details an award: what it does not itemise is counted in the award."""
    lines = asked.dated
    detailing = lines[lines["part_of"].isin(lines["funding_id"])]
    return {str(name) for name in detailing["funder"].dropna()}


def stages_told(asked: About) -> Sentence:
    """How much at each stage; whose it is when one funder brings the amounts of the only stage."""
    sums = stage_sums(asked)
    if len(sums) == 1 and asked.funder is None:
        found = funders(asked, sums["stage"].iloc[0])
        if len(found) == 1 and not found["missing"].iloc[0]:
            told = as_title(sentences.stages(sums, asked.when))
            return said("{told}, financeur unique : {name}.", told=told, name=found["name"].iloc[0])
    return sentences.stages(sums, asked.when)


def share_told(asked: About) -> Sentence:
    """What the territory or the funder asked weighs among all."""
    mine = asked.territory or asked.funder
    frame, whole = everyone(asked)
    if mine not in set(frame["name"]):
        return SILENCE
    verbs = ("reçoit", "reçoivent") if asked.territory else ("apporte", "apportent")
    return sentences.part_of_all(frame[frame["name"] == mine], verbs, whole)


def everyone(asked: About) -> tuple[pd.DataFrame, str]:
    """As `ranked`: every territory at its best stage, or every funder, each euro once; and of what."""
    if asked.territory is None:
        return ranked(asked.everywhere.once("funder"), "funder"), once_counted(asked.everywhere)
    stage = asked.stage_that_tells("territory")
    if stage is None:
        return ranked(pd.DataFrame(columns=["territory", "amount_eur", "trace"]), "territory"), ""
    return ranked(asked.everywhere.by("territory", stage=stage), "territory"), money(stage, asked)


def funder_told(asked: About) -> Sentence:
    """Who funds most, each euro counted once."""
    if asked.funder is not None:
        return SILENCE
    frame = ranked(asked.once("funder"), "funder")
    if len(frame) == 1 and asked.dated["stage"].nunique() == 1:
        return SILENCE  # said with the amount
    return sentences.leader(frame, "financeur", once_counted(asked))


def once_counted(asked: About) -> str:
    """« montants accordés en 2013 » for one stage; « euros de 2013, comptés une seule fois » for several."""
    found = asked.dated["stage"].unique()
    if len(found) == 1:
        return money(str(found[0]), asked)
    return (
        f"{french.currency_noun()}s{f' {asked.of_when}' if asked.years else ''}, chacun compté une seule fois"
    )


def axis_told(asked: About) -> Sentence:
    """Which axis receives most, at the stage that says it best."""
    stage = asked.stage_that_tells("axis")
    if stage is None:
        return SILENCE
    return sentences.leader(
        ranked(asked.by("axis", "funder", stage=stage), "axis"), "axe", money(stage, asked)
    )


def concentration_told(asked: About) -> Sentence:
    """How few recipients hold how much, over the years that their figure shows."""
    wide = recipients_scope(asked)
    stage = wide.stage_that_tells("recipient")
    if stage is None:
        return SILENCE
    frame = ranked(wide.by("recipient", stage=stage), "recipient")
    return sentences.concentration(frame, "bénéficiaire", money(stage, wide), STRONGEST, strongest(frame))


def recipients_scope(asked: About) -> About:
    """What recipients are compared over: the years asked, or all where these show a single one."""
    return asked.always if asked.dated["recipient"].nunique() < 2 else asked


def not_itemised_told(asked: About) -> Sentence:
    """What stated totals hold beyond their lines, funder by funder."""
    gaps = not_itemised(asked).to_dict(orient="records")
    if not gaps:
        return SILENCE
    whole = total_trace([row["trace"] for row in gaps])
    parts = [
        said("{amount} ({name})", amount=amount(row["amount_eur"], row["trace"]), name=row["funder"])
        for row in gaps
    ]
    return sentences.not_itemised(amount(whole["value"], whole), parts)


def undated_told(asked: About, stage: str | None = None) -> Sentence:
    """What carries no year, stage by stage (or at one stage)."""
    frame = stage_sums(asked, undated=True)
    frame = frame[frame["stage"].eq(stage)] if stage else frame
    return sentences.undated(
        [worded(row["amount_eur"], row["stage"], row["trace"]) for row in frame.to_dict(orient="records")]
    )


def shared_told(asked: About) -> Sentence:
    """The amounts given to several territories together, and how they are shared."""
    places = asked.tables.places.dropna(subset=["territory"]).drop_duplicates(["record_id", "territory"])
    many = places["record_id"].value_counts()
    lines = asked.dated[asked.dated["record_id"].isin(many.index[many > 1])]
    if lines.empty:
        return SILENCE
    rows = []
    for stage, same in lines.groupby("stage"):
        trace = amount_trace(same["funding_id"].tolist(), asked.tables)
        rows.append(worded(trace["value"], str(stage), trace))
    how = {"population": "partagés selon la population", "whole": "montrés sans les partager"}
    return said(
        "{rows} à plusieurs territoires ensemble : {how}.",
        rows=listed(rows),
        how=how.get(asked.apportion, "partagés à parts égales"),
    )


def communes_told(asked: About) -> Sentence:
    """How many communes the records name."""
    frame = communes_reached(asked)
    cells = [trace["cells"][0] for trace in frame["count_trace"] if trace]
    if not cells or elsewhere(asked):
        return SILENCE
    number = count(len(cells), "commune", feminine=True, trace=count_of(cells, "commune"))
    verb = "est nommée" if len(cells) == 1 else "sont nommées"
    return said("{number} " + verb + " par les actions et projets.", number=number)


def elsewhere(asked: About) -> Number | None:
    """How many places the records name, where most are not communes of the reference; else nothing."""
    places = asked.tables.places
    communes = places["written_as"].notna() & places["written_as"].ne(places["territory"]).fillna(True)
    places = places[places["record_id"].isin(asked.record_ids) & communes]
    named = places.drop_duplicates("written_as")
    if named["insee_code"].notna().sum() * 2 >= len(named):
        return None
    return Number(french.number(len(named)), count_of(cells_of(named, asked.tables), "lieu"))


def undated_records_told(asked: About) -> Sentence:
    """That the records shown include some without a year."""
    if asked.undated.empty or not asked.years:
        return SILENCE
    return said(
        "Les actions et projets sans année sont compris : rien ne dit qu'ils ne sont pas de cette période."
    )


def records_told(asked: About) -> Sentence:
    """How many actions and projects carry the amounts."""
    records = asked.tables.records
    records = records[records["record_id"].isin(asked.dated["record_id"])]
    cells = cells_of(records, asked.tables)
    number = count(len(cells), "action ou projet", "actions ou projets", trace=count_of(cells, "fiche"))
    return said("{number} {verb} ces montants.", number=number, verb="porte" if len(cells) < 2 else "portent")


def exact_totals_told(asked: About) -> Sentence:
    """How many announced totals the lines find again."""
    frame = stated_against_lines(asked)
    if frame.empty:
        return said("Aucun total n'est annoncé : rien ne permet de vérifier les sommes.")
    cells = [trace["cells"][0] for trace in frame["stated_eur_trace"]]
    exact = [cell for cell, gap in zip(cells, frame["gap_eur"], strict=True) if not gap]
    found = Number(french.number(len(exact)), count_of(exact, "total")) if exact else None
    return sentences.exact_totals(
        found, len(exact), Number(french.number(len(cells)), count_of(cells, "total"))
    )


def findings_told(asked: About) -> Sentence:
    """How many findings of each severity."""
    told = []
    for severity, nouns in _SEVERITY_NOUNS.items():
        same = asked.findings[asked.findings["severity"].eq(severity)]
        cells = cells_of(same.fillna({"sheet": "", "cell": ""}), asked.tables)
        told.append(
            count(len(cells), *nouns, feminine=severity != "blocking", trace=count_of(cells, nouns[0]))
        )
    return said("Contrôles : {told}.", told=listed(told))


_SEVERITY_NOUNS = {
    "blocking": ("constat bloquant", "constats bloquants"),
    "alert": ("alerte", "alertes"),
    "info": ("information", "informations"),
}


def other_kinds(asked: About) -> Sentence:
    """Loans, guarantees and in-kind of the years asked: told apart, never added."""
    lines = asked.tables.funding
    lines = lines[lines["amount_eur"].notna() & lines["kind"].ne("cash")]
    lines = lines if asked.years is None else lines[lines["year"].isin(asked.years)]
    lines = lines if asked.funder is None else lines[lines["funder"] == asked.funder]
    told = []
    for kind, same in lines.groupby("kind") if asked.territory is None else ():
        trace = amount_trace(same["funding_id"].tolist(), asked.tables)
        word = "en nature" if kind == "in_kind" else schema.KIND_LABELS.get(str(kind), str(kind))
        told.append(said("{amount} ({word})", amount=amount(trace["value"], trace), word=word))
    return said("À part, jamais ajoutés au numéraire : {told}.", told=listed(told)) if told else SILENCE


def other_stages(asked: About, stage: str) -> Sentence:
    """The amounts of the other stages, which the figure does not count."""
    sums = stage_sums(asked)
    others = sums[sums["stage"] != stage].to_dict(orient="records")
    amounts = [worded(row["amount_eur"], row["stage"], row["trace"]) for row in others]
    return (
        said("Non comptés ici, car d'une autre étape : {amounts}.", amounts=listed(amounts))
        if amounts
        else SILENCE
    )


def silence(asked: About) -> Sentence:
    """That no amount carries the years asked."""
    return sentences.nothing_dated(asked.of_when)


def dated_years(asked: About) -> Sentence:
    """Which years carry amounts."""
    return sentences.dated_years(sorted(int(year) for year in asked.lines["year"].dropna().unique()))


def not_said(asked: About, what: str, column: str = "") -> Sentence:
    """That no amount of the years asked is `what` (« rattaché à un axe »), and which years are."""
    if asked.dated.empty:
        return nothing("Sans montant daté {of}, pas de réponse.", of=asked.of_when)
    none = nothing("Aucun de ces montants n'est {what}.", what=what)
    if asked.years:
        none = nothing("Aucun montant daté {when} n'est {what}.", when=asked.of_when, what=what)
    lines = asked.always.lines
    if column not in lines or lines[column].isna().all():
        return none
    known = sorted(int(year) for year in lines.loc[lines[column].notna(), "year"].dropna().unique())
    if not known:
        return none
    years = listed([str(year) for year in known])
    return said("{none} Seuls des montants de {years} le sont.", none=none, years=years)


# --- Around the answers --------------------------------------------------------------------------------


def alt(what: str, asked: About) -> str:
    """The text read in place of a figure: eighty characters at most."""
    text = f"{what}, {asked.when}"
    return text if len(text) <= 80 else what[:80]


def source(asked: About, frame: pd.DataFrame | None = None) -> str:
    """The source line of a figure: the files, the sheets that the numbers of `frame` come from, the dates."""
    used = _places_read(frame)
    lines = []
    for sheet in asked.tables.sources:
        read = [page for file, page in used if sheet.path.name == Path(file).name]
        pages = [page for page in read if page]
        if sheet.tables and (read or not used):
            where = f", {french.plural(len(pages), 'feuille')} {french.listing(pages)}" if pages else ""
            who = ", ".join(filter(None, (sheet.producer, french.month(str(sheet.date or "")))))
            lines.append(f"{sheet.title}{where}{f' ({who})' if who else ''}")
    return french.typographic(french.listing(dict.fromkeys(lines)))


def _places_read(frame: pd.DataFrame | None) -> list[tuple[str, str]]:
    """(file, sheet) of every cell behind the numbers of the frame, in the order they are met."""
    if frame is None:
        return []
    if "sheet" in frame:
        return sorted(set(zip(frame["source"].astype(str), frame["sheet"].astype(str), strict=True)))
    found: set[tuple[str, str]] = set()
    seen: set[int] = set()  # the whole is behind every share: it is looked at once
    waiting = [trace for name in frame if str(name).endswith("trace") for trace in frame[name]]
    while waiting:
        trace = waiting.pop()
        if isinstance(trace, dict) and id(trace) not in seen:
            seen.add(id(trace))
            found |= {(str(cell[0]), str(cell[1])) for cell in trace.get("cells", [])}
            waiting += trace.get("of", [])
    return sorted(found)


def readings_table(asked: About) -> Shown | None:
    """The points that can be read in several ways, and the reading followed."""
    declared = (asked.tables.readings or {}).values()
    rows = [
        {
            "question": french.typographic(reading["question"]),
            "choice": reading["choices"].get(reading["default"], {}).get("label", reading["default"]),
            "why": french.typographic(reading.get("why", french.NOTHING)),
        }
        for reading in declared
        if "question" in reading
    ]
    labels = {"question": "Question", "choice": "Lecture suivie", "why": "Pourquoi"}
    return display_table(pd.DataFrame(rows), said("Les lectures suivies"), labels=labels) if rows else None


def sources_table(asked: About) -> Shown:
    """The files that the tables and the places are read from: who made them, when, how reliable, checksum."""
    labels = {
        "title": "Source",
        "producer": "Producteur",
        "date": "Date",
        "licence": "Licence",
        "reliability": "Fiabilité",
        "sha256": "Empreinte",
    }
    rows = [
        {
            **{name: french.typographic(str(getattr(sheet, name))) for name in labels},
            "date": french.month(str(sheet.date)),
            "sha256": str(sheet.sha256)[:12],
        }
        for sheet in asked.tables.sources
        if sheet.tables or REFERENCE in sheet.path.parts
    ]
    return display_table(pd.DataFrame(rows, columns=list(labels)), said("Les sources"), labels=labels)


REFERENCE = "reference"  # the folder of the communes


def placed(findings: pd.DataFrame) -> pd.DataFrame:
    """The findings with where they stand in one column: « Annexe 2, F17 »."""
    where = findings["sheet"].fillna("").str.cat(findings["cell"].fillna(""), sep=", ").str.strip(", ")
    proof = findings["source"].str.endswith(".txt").fillna(False)
    where = where.mask(proof, "texte, ligne " + where.str.removeprefix("A"))
    return findings.assign(where=where.where(where.ne(""), french.NOTHING))


def glossary(asked: About) -> Glossary:
    """The acronyms that the texts use outside names of recipients; the page keeps those that it says."""
    path = Path(__file__).with_name("glossary.toml")
    known = tomllib.loads(path.read_text(encoding="utf-8")) | (asked.tables.readings or {}).get(
        "glossary", {}
    )
    tables = asked.tables
    columns = [tables.funding[name] for name in ("title", "axis", "funder", "operator", "programme")]
    columns += [tables.places["territory"], tables.indicators["text"]]
    columns += [asked.findings["message"].str.replace("«.*?»", "", regex=True)]  # it quotes recipients
    texts = [str(text) for column in columns for text in column.dropna().unique()]
    texts += [f"{sheet.title} {sheet.producer}" for sheet in tables.sources]
    used = set(re.findall(r"\w+", " ".join(texts)))
    return Glossary(tuple((word, known[word]) for word in sorted(known) if word in used))


def quoted(cell: pd.DataFrame, asked: About) -> Sentence:
    """The text of one cell of results, whole, the quantities and amounts read in it traced."""
    rows = cell.to_dict(orient="records")
    text = written(asked.tables, rows[0])
    numbers = [(row["text"], _stated(row, text)) for row in rows]
    money_read = french.amounts(text)
    numbers += [
        (one.text, _amount_written(rows[0], text, one.euros, place if len(money_read) > 1 else 0))
        for place, one in enumerate(money_read, start=1)
    ]
    parts: list[str | Number] = []
    for shown_as, trace in sorted(numbers, key=lambda number: text.find(number[0])):
        before, found, after = text.partition(shown_as)
        if found:
            parts += [before] if before else []
            parts.append(Number(_unbroken(found) if trace["unit"] == "EUR" else found, trace))
            text = after
    return Sentence((*parts, text) if text else tuple(parts))


def _unbroken(text: str) -> str:
    """An amount of a quotation, its spaces made those that no line is broken at."""
    return re.sub(r"(?<=\d) (?=\d)", french.THIN, text).replace(" ", french.SOLID)


def _amount_written(row: dict[Any, Any], text: str, euros: float, part: int) -> dict[str, Any]:
    """The trace of an amount that a text states."""
    cell = [row["source"], row["sheet"], row["cell"], text, part]
    words = f"écrit en {row['cell']}"
    return {"op": "sum", "unit": "EUR", "value": euros, "words": words, "cells": [cell]}


def _stated(row: dict[Any, Any], text: str) -> dict[str, Any]:
    """The trace of a quantity that the document states in words."""
    cell = [row["source"], row["sheet"], row["cell"], text, 0]
    return {
        "op": "stated",
        "unit": "count",
        "value": row["low"],
        "words": f"écrit en {row['cell']}",
        "cells": [cell],
    }
