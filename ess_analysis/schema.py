"""The tidy tables: each column's type, unit, meaning and French label.

Everything that is read ends up in these tables, everything that is computed starts from them.
Amounts are in the one currency of the data, euros unless their source sheets say otherwise (float64, NaN when
the source is silent, never 0 for a blank).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import pandas as pd

from ess_analysis import french


@dataclass(frozen=True)
class Column:
    """One column of a tidy table."""

    name: str
    dtype: str
    label: str  # French, as a reader sees it
    meaning: str  # French, one sentence
    unit: str = ""  # « € »: the currency of the data

    @property
    def unit_shown(self) -> str:
        """The unit as a reader sees it: amounts are in the currency in force."""
        return french.sign() if self.unit == "€" else self.unit


@dataclass(frozen=True)
class Table:
    """A tidy table: its name, its French label, its columns, its key."""

    name: str
    label: str
    meaning: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """The column names, in order."""
        return [column.name for column in self.columns]


LONG = 20_000  # rows from which Arrow's strings, slow to take up and thrifty, are faster than Python's
_SHORT_TEXT = pd.StringDtype("python", na_value=float("nan"))
TEXT, EURO, WHOLE, NUMBER, DAY = "str", "float64", "Int64", "float64", "datetime64[s]"

STAGE_LABELS = {
    "allocated": "alloué (enveloppe)",
    "planned": "prévisionnel",
    "awarded": "accordé",
    "paid": "versé",
}
KIND_LABELS = {
    "cash": "numéraire",
    "in_kind": "nature",
    "loan": "prêt",
    "guarantee": "garantie d'emprunt",
}
RECORD_KIND_LABELS = {"action": "action", "project": "projet"}
SEVERITY_LABELS = {"blocking": "bloquant", "alert": "alerte", "info": "information"}

STAGES = tuple(STAGE_LABELS)
KINDS = tuple(KIND_LABELS)
RECORD_KINDS = tuple(RECORD_KIND_LABELS)
SEVERITIES = tuple(SEVERITY_LABELS)

# What a reader sees where a key is missing: the row stays, so that the parts make the whole.
MISSING_LABELS = {
    "year": "non daté",
    "axis": "non ventilé",
    "territory": "non renseigné",
    "commune": "non renseigné",
}
MISSING_LABEL = "non renseigné"  # any other key
NOT_ITEMISED = "non détaillé"  # a stated total minus its rows

_PLACE_IN_SOURCE = (
    Column("source", TEXT, "Fichier", "Fichier lu, chemin depuis le dossier de données."),
    Column("sheet", TEXT, "Feuille", "Feuille du classeur ; vide pour un fichier texte."),
    Column("cell", TEXT, "Cellule", "Adresse de la cellule lue, par exemple G5."),
)

FUNDING = Table(
    "funding",
    "Financements",
    "Une ligne par montant.",
    (
        Column("funding_id", TEXT, "Identifiant", "Identifiant stable du montant."),
        *_PLACE_IN_SOURCE,
        Column("record_kind", TEXT, "Nature de la fiche", "Action ou projet."),
        Column("record_id", TEXT, "Fiche", "Identifiant de l'action ou du projet financé."),
        Column("title", TEXT, "Intitulé", "Intitulé de l'action ou du projet, tel qu'écrit."),
        Column("programme", TEXT, "Dispositif", "Dispositif au titre duquel l'argent est apporté."),
        Column("axis", TEXT, "Axe", "Axe de la politique, reporté sur chaque ligne."),
        Column("funder", TEXT, "Financeur", "Qui apporte l'argent, sous son nom retenu."),
        Column("recipient", TEXT, "Bénéficiaire", "Qui reçoit l'argent."),
        Column("operator", TEXT, "Opérateur", "Qui réalise."),
        Column("year", WHOLE, "Année", "Année du montant ; vide si la source ne la dit pas.", "année"),
        Column("period_start", DAY, "Début de période", "Début de la période couverte, si elle est dite."),
        Column("period_end", DAY, "Fin de période", "Fin de la période couverte, si elle est dite."),
        Column("stage", TEXT, "Étape", "Alloué, prévisionnel, accordé ou versé."),
        Column("kind", TEXT, "Forme", "Numéraire, nature, prêt ou garantie."),
        Column("amount_eur", EURO, "Montant", "Montant lu ; vide si la source n'en donne pas.", "€"),
        Column("part_of", TEXT, "Détaille", "Ligne ou total annoncé que ce montant détaille."),
    ),
    key=("funding_id",),
)

DELIVERY = Table(
    "delivery",
    "Réalisation",
    "Qui réalise chaque action, et pour combien.",
    (
        Column("record_id", TEXT, "Fiche", "Identifiant de l'action."),
        Column("operator", TEXT, "Opérateur", "Qui réalise."),
        Column("amount_eur", EURO, "Montant", "Montant réalisé par cet opérateur.", "€"),
        *_PLACE_IN_SOURCE,
    ),
)

PLACES = Table(
    "places",
    "Lieux",
    "Les lieux nommés pour chaque fiche.",
    (
        Column("record_id", TEXT, "Fiche", "Identifiant de l'action ou du projet."),
        Column("written_as", TEXT, "Écrit", "Nom du lieu tel qu'il est écrit."),
        Column("insee_code", TEXT, "Code INSEE", "Code officiel de la commune ; vide si non reconnue."),
        Column("commune", TEXT, "Commune", "Nom officiel de la commune ; vide si non reconnue."),
        Column("territory", TEXT, "Territoire", "Territoire auquel la fiche est rattachée, tel qu'écrit."),
        *_PLACE_IN_SOURCE,
    ),
)

INDICATORS = Table(
    "indicators",
    "Résultats",
    "Les résultats tels qu'ils sont énoncés.",
    (
        Column("record_id", TEXT, "Fiche", "Identifiant de l'action."),
        Column("text", TEXT, "Énoncé", "Résultat, mot pour mot."),
        Column("low", NUMBER, "Valeur basse", "Quantité énoncée (borne basse)."),
        Column("high", NUMBER, "Valeur haute", "Quantité énoncée (borne haute)."),
        Column("unit", TEXT, "Unité", "Ce que l'on compte."),
        *_PLACE_IN_SOURCE,
    ),
)

STATED_TOTALS = Table(
    "stated_totals",
    "Totaux annoncés",
    "Ce que le document annonce lui-même.",
    (
        Column("total_id", TEXT, "Identifiant", "Identifiant du total."),
        *_PLACE_IN_SOURCE,
        Column("table_id", TEXT, "Table", "Table de la fiche source dont c'est le total."),
        Column("covers", TEXT, "Porte sur", "Colonne ou mesure dont c'est le total."),
        Column("measure", TEXT, "Mesure", "funding, delivery, row_total ou count."),
        Column("funder", TEXT, "Financeur", "Financeur concerné, s'il y en a un."),
        Column("operator", TEXT, "Opérateur", "Opérateur concerné, s'il y en a un."),
        Column("year", WHOLE, "Année", "Année concernée, si elle est dite.", "année"),
        Column("stage", TEXT, "Étape", "Étape des montants couverts."),
        Column("amount_eur", EURO, "Montant annoncé", "Total annoncé ; vide pour un dénombrement.", "€"),
        Column("count", WHOLE, "Nombre annoncé", "Nombre annoncé (« 4 projets »).", "lignes"),
    ),
    key=("total_id",),
)

RECORDS = Table(
    "records",
    "Fiches",
    "Une ligne par action ou projet.",
    (
        Column("record_id", TEXT, "Fiche", "Identifiant : table, axe et numéro."),
        *_PLACE_IN_SOURCE,
        Column("table_id", TEXT, "Table", "Table de la fiche source d'où vient la ligne."),
        Column("kind", TEXT, "Nature", "Action ou projet."),
        Column("axis", TEXT, "Axe", "Axe de la politique."),
        Column("number", TEXT, "N°", "Numéro tel qu'écrit ; il peut repartir à 1 à chaque axe."),
        Column("title", TEXT, "Intitulé", "Intitulé tel qu'écrit."),
        Column("description", TEXT, "Description", "Description telle qu'écrite."),
        Column("partners", TEXT, "Partenaires", "Partenaires tels qu'écrits."),
        Column("legal_status", TEXT, "Statut juridique", "Statut du porteur."),
        Column("strand", TEXT, "Volet", "Volet du dispositif."),
        Column("programme", TEXT, "Dispositif", "Dispositif de rattachement."),
        Column("row_total_eur", EURO, "Total de ligne", "Total écrit sur la ligne, s'il y en a un.", "€"),
    ),
    key=("record_id",),
)

FINDINGS = Table(
    "findings",
    "Constats",
    "Ce que les contrôles ont trouvé.",
    (
        Column("code", TEXT, "Code", "Code du contrôle."),
        Column("severity", TEXT, "Gravité", "Bloquant, alerte ou information."),
        Column("message", TEXT, "Constat", "Phrase qui dit ce qui ne va pas."),
        *_PLACE_IN_SOURCE,
        Column("stated", TEXT, "Écrit", "Valeur écrite dans le document."),
        Column("computed", TEXT, "Calculé", "Valeur recalculée."),
        Column("gap", NUMBER, "Écart", "Calculé moins écrit, si ce sont des nombres."),
    ),
)

TABLES = {
    table.name: table for table in (FUNDING, DELIVERY, PLACES, INDICATORS, STATED_TOTALS, RECORDS, FINDINGS)
}


def conform(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """The frame with exactly the columns and types of table `name`; absent columns come out missing."""
    return typed(frame, TABLES[name])


def typed(frame: pd.DataFrame, table: Table) -> pd.DataFrame:
    """As `conform`, for any table described with columns."""
    columns = {}
    for column in table.columns:
        kept = frame[column.name] if column.name in frame else pd.Series(None, frame.index, dtype="object")
        dtype: Any = column.dtype
        if dtype == TEXT and len(frame) < LONG:
            dtype = _SHORT_TEXT
        columns[column.name] = kept.astype(dtype)
    return pd.DataFrame(columns, index=frame.index)


def empty(name: str) -> pd.DataFrame:
    """Table `name` without rows, its columns typed."""
    return _empty(name).copy()


@cache
def _empty(name: str) -> pd.DataFrame:
    return conform(pd.DataFrame(index=pd.RangeIndex(0)), name)


def labels(names: list[str]) -> dict[str, str]:
    """The French label of each column name known to any tidy table."""
    known = {column.name: column.label for table in TABLES.values() for column in table.columns}
    return {name: known[name] for name in names if name in known}


def dictionary() -> str:
    """The data dictionary in Markdown, one table per tidy table (`make dictionary` puts it in the README)."""
    parts = []
    for table in TABLES.values():
        parts += [f"**{table.name}**, {table.label.lower()}. {table.meaning}", ""]
        parts += ["| column | type | unit | label | meaning |", "|---|---|---|---|---|"]
        parts += [
            f"| `{column.name}` | {column.dtype} | {column.unit} | {column.label} | {column.meaning} |"
            for column in table.columns
        ]
        parts.append("")
    return "\n".join(parts).rstrip("\n")
