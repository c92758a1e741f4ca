"""Tables whose sum says one thing and whose words another: each is asked of a person, or told, never counted in silence."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import ess_analysis as ess
from ess_analysis.cli import main
from ess_analysis.errors import DataError
from ess_analysis.open_data import big

NAMES = ("Anis", "Le Relais", "APES", "BG", "Colibri", "Foyer rural", "Judo", "Chorale")
SUMS = (6250, 3234, 12350, 480, 7725, 900, 15010, 2600)
WHOLE = sum(SUMS)
LINES = list(zip(NAMES, SUMS, strict=True))
TWO = "".join(f"{name};{euros}\n" for name, euros in zip(NAMES, SUMS, strict=True))
THREE = "".join(f"{name};Fonctionnement;{euros}\n" for name, euros in zip(NAMES, SUMS, strict=True))


def written(folder: Path, text: str, name: str = "aides.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def total(path: Path, kind: str = "cash") -> float:
    funding = ess.read(path).funding
    return round(float(funding.loc[funding["kind"].eq(kind), "amount_eur"].sum()), 2)


def states(header: str, one: str, others: str) -> str:
    """The table with a column that says of one line what the others are not."""
    return f"Association;Montant;{header}\n" + "".join(
        f"{name};{euros};{one if euros == 480 else others}\n" for name, euros in zip(NAMES, SUMS, strict=True)
    )


ASKED = {
    "a sum between the lines, in capitals": (
        "Association;Subvention\nSPORT;21834\n" + TWO.replace("BG", "CULTURE;26715\nBG") + "Zoé;77\n",
        "somme de lignes voisines",
    ),
    "half of everything": (f"Association;Subvention\nAssociations sportives;{WHOLE}\n{TWO}", "somme de tous les autres"),
    "a balance in two columns": (f"Association;Subvention\n{TWO}Reste à attribuer;2500\n", "est-ce une donnée"),
    "a recapitulation under the total": (
        f"Association;Subvention\n{TWO}TOTAL;{WHOLE}\nSport;20000\nCulture;{WHOLE - 20000}\n",
        "est-ce une donnée",
    ),
    "a part": (f"Association;Objet;Subvention\n{THREE}- dont fête;x;500\n", "dont"),
    "a part in English": (f"Association;Objet;Subvention\n{THREE}of which travel;x;500\n", "dont"),
    "items under their total": (
        f"Association;Objet;Subvention\n{THREE}OMS;x;10000\n- section foot;x;6000\n- section tennis;x;4000\n",
        "le total des lignes",
    ),
    "a section of guarantees": (
        f"Association;Objet;Montant\n{THREE}Garanties d'emprunt;;\nOPH;12 logements;1500000\n",
        "sont-ils des subventions",
    ),
    "a title of loans": (f"Prêts d'honneur 2013;;\n\nAssociation;Objet;Montant\n{THREE}", "sont-ils des subventions"),
    "a title of requests": (f"Demandes de subventions 2014;;\n\nAssociation;Objet;Montant\n{THREE}", "sont-ils des subventions"),
    "years in sections": (
        f"Association;Objet;Montant\nExercice 2012;;\n{THREE}Exercice 2013;;\n{THREE.replace('Anis', 'Zoé')}",
        "l'année des lignes",
    ),
    "refused in a column of answers": (
        states("Décision", "Non", "Oui"),
        "faut-il compter ces lignes",
    ),
    "given up": (
        states("Etat", "Désistement", "Soldé"),
        "faut-il compter ces lignes",
    ),
    "receipts among payments": (
        states("Type", "Titre", "Mandat"),
        "faut-il compter ces lignes",
    ),
    "stages in lines": (
        "Association;Montant;Etape\n" + "".join(f"{n};{e};BP\n{n};{e};CA\n" for n, e in LINES),
        "quelles lignes compter",
    ),
    "round sums under another name": (
        "Association;Subvention;Loyers\n" + "".join(f"{n};{e};{1000 * k + 500}\n" for k, (n, e) in enumerate(LINES, 1)),
        "ressemblent à des montants",
    ),
    "the same sum given to a few": (
        "Association;Subvention;Prestations diverses\n"
        + "".join(f"{n};{e};{300 if e > 5000 else ''}\n" for n, e in LINES),
        "ressemblent à des montants",
    ),
    "no column of money": (f"Association;Machin\n{TWO}", "qu'elle est un montant"),
    "a grant for works": (
        "Association;Subvention fonctionnement;Subvention travaux\n" + "".join(f"{n};{e};{e + 50}\n" for n, e in LINES),
        "autres montants",
    ),
    "two lists side by side": (
        "Association;Subvention 2021;Association;Subvention 2022\n"
        + "".join(f"{n};{e};{m};{e + 10}\n" for n, e, m in zip(NAMES, SUMS, NAMES[::-1], strict=True)),
        "seconde liste",
    ),
    "years under the header": (
        f"Association;Subventions attribuées;\n;2021;2022\n{THREE.replace('Fonctionnement', '100')}",
        "second niveau",
    ),
    "another table above": (
        f"Association;Montant;;\n{''.join(f'{n};{e};;' + chr(10) for n, e in LINES)}"
        "Bénéficiaire;Montant;Objet;Date de décision\nZoé;100;x;2022-01-02\nYves;200;y;2022-01-03\n",
        "",
    ),
    "a line pushed by its delimiter": (
        "Association;Objet;Adhérents;Montant;Année;Obs\n"
        + "".join(f"{n};x;30;{e};2013;\n" for n, e in LINES)
        + "Karaté;Stage ; tournoi;25;2000;2013\n",
        "une ligne décalée",
    ),
    "thousands in a title": (f"montants en K euros;;\n\nAssociation;Objet;Montant\n{THREE}", "unité"),
    "a line swallowed by a quote": ('Association;Montant\nAnis;100\n"Les Amis du livre;1500\nGym";2000\nJudo;300\n', ""),
}  # fmt: skip


@pytest.mark.parametrize("case", ASKED)
def test_a_doubtful_table_is_asked(case: str, tmp_path: Path) -> None:
    text, words = ASKED[case]
    with pytest.raises(DataError) as refused:
        ess.read(written(tmp_path, text))
    assert words in str(refused.value)


READ = {
    "stages and years name amounts": (
        "Association;Subvention 2022;Vote 2023\n" + "".join(f"{n};{e};{e + 1}\n" for n, e in LINES),
        2 * WHOLE + len(SUMS),
    ),
    "a total of parts that have no name of money": (
        "destinataire;subvention;manifestations;promotion;contrat\n"
        + "".join(f"{n};{e};{e - 300};200;100\n" for n, e in LINES),
        WHOLE,
    ),
    "a lone column of sums": ("Association;Montant attribué FDVA\n" + TWO, WHOLE),
    "a stage alone": ("Raison sociale;SIRET;Mandaté\n" + "".join(f"{n};;{e}\n" for n, e in LINES), WHOLE),
    "a ratio beside": (
        "Association;Subvention;Subvention par adhérent\n" + "".join(f"{n};{e};12\n" for n, e in LINES),
        WHOLE,
    ),
    "a grand total said S/T": (f"Association;Objet;Montant\n{THREE}S/T;;{WHOLE}\n", WHOLE),
    "words that say no amount": (f"Association;Objet;Subvention accordée\n{THREE}Zoé;x;néant\nYves;y;ajourné\n", WHOLE),
    "a sign before": ("Association;Objet;Montant\nAnis;x;€ 1 500,00\nJudo;y;EUR 800\n", 2300),
    "postal codes are no sums": (
        "Association;Subvention;Localité\n" + "".join(f"{n};{e};59{k}00\n" for k, (n, e) in enumerate(LINES)),
        WHOLE,
    ),
    "pounds with thousands": (
        'Organisation,Purpose,Grant awarded (£)\nAcorn,x,"£1,500"\nBirch,y,"£22,000"\n', 23500),
    "a fee on every line": ("Association;Subvention;Valeur\n" + "".join(f"{n};{e};500\n" for n, e in LINES), WHOLE),
    "an opinion against, and no amount": (
        "Association;Montant attribué;Avis\n" + "".join(f"{n};{e};Favorable\n" for n, e in LINES) + "Zoé;;Défavorable\n",
        WHOLE,
    ),
    "a total of cash and aid in kind": (
        "Association;Subvention en numéraire;Prestations en nature (valorisation);Total\n"
        + "".join(f"{n};{e};200;{e + 200}\n" for n, e in LINES),
        WHOLE,
    ),
    "a standard's field in small letters": (
        "nombeneficiaire;montant;notificationue\n" + "".join(f"{n};{e};0\n" for n, e in LINES),
        WHOLE,
    ),
    "the form of the aid": (
        "Association;Forme de l'aide;Montant\n"
        + "".join(f"{n};{'Avance remboursable' if e == 480 else 'Subvention'};{e}\n" for n, e in LINES),
        WHOLE - 480,
    ),
    "a beneficiary's total": (f"Association;Objet;Montant\n{THREE}Total Session;x;70\n", WHOLE + 70),
}  # fmt: skip


@pytest.mark.parametrize("case", READ)
def test_what_leaves_no_doubt_is_read(case: str, tmp_path: Path) -> None:
    text, expected = READ[case]
    assert total(written(tmp_path, text)) == expected


@pytest.mark.parametrize(
    "title, year",
    [
        ("Subventions 2021", 2021),
        ("Subventions 2021, mise à jour au 31/01/2024", 2021),
        ("Décret n° 2017-779 du 5 mai 2017", None),
        ("Communes de moins de 2000 habitants", None),
        ("Délibération du 15 décembre 2022", None),
    ],
)
def test_the_year_of_a_title_is_not_that_of_a_date_or_a_law(
    title: str, year: int | None, tmp_path: Path
) -> None:
    tables = ess.read(written(tmp_path, f"{title};;\n\nAssociation;Objet;Montant\n{THREE}"))
    assert tables.sources[0].tables[0].year == year
    assert ("READ-UNDATED" in set(tables.findings["code"])) == (year is None)


def test_a_title_and_a_name_that_disagree_leave_the_year_blank(tmp_path: Path) -> None:
    path = written(tmp_path, f"Subventions 2021;;\n\nAssociation;Objet;Montant\n{THREE}", "aides_2022.csv")
    tables = ess.read(path)
    assert tables.sources[0].tables[0].year is None
    assert "2021 selon le titre et 2022 selon le nom du fichier" in " ".join(tables.findings["message"])


def test_a_town_whose_name_begins_as_a_payment_says_no_stage(tmp_path: Path) -> None:
    tables = ess.read(written(tmp_path, f"VILLE DE VERSAILLES;;\n\nAssociation;Objet;Montant\n{THREE}"))
    assert tables.funding["stage"].isna().all()


def test_a_line_of_free_words_that_was_cancelled_is_told(tmp_path: Path) -> None:
    lines = "".join(f"{n};note {n};{e}\n" for n, e in LINES)
    tables = ess.read(
        written(
            tmp_path, f"Association;Observations;Montant\n{lines}Zoé;Subvention annulée par délibération;50\n"
        )
    )
    told = tables.findings[tables.findings["code"].eq("READ-OTHER-LINE")]
    assert told["severity"].tolist() == ["alert"] and "ligne 10" in told["message"].iloc[0]


def test_files_of_an_archive_are_read_apart_with_their_draft(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import zipfile

    path = tmp_path / "aides.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for year, name in ((2012, "Anis"), (2013, "Zoé")):
            archive.writestr(f"subventions_{year}.csv", f"Association;Objet;Montant versé\n{name};x;{year}\n")
    assert sorted(ess.read(path).funding["amount_eur"]) == [2012, 2013]
    assert ess.read(path, sheet="subventions_2013.csv").funding["amount_eur"].tolist() == [2013]
    main(["read", str(path), "--draft", "--summary"])
    sheet = tmp_path / "aides.zip.toml"
    sheet.write_text(
        sheet.read_text(encoding="utf-8").replace("à compléter", "non précisée"), encoding="utf-8"
    )
    funding = ess.read(path, source=sheet).funding
    assert funding[["year", "amount_eur"]].values.tolist() == [[2012, 2012], [2013, 2013]]


def test_a_source_sheet_without_an_amount_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "Association;Machin\nAnis;1\nJudo;2\n")
    main(["read", str(path), "--draft", "--summary"])
    sheet = tmp_path / "aides.csv.toml"
    text = re.sub(r"(?ms)^questions = \[$.*?^\]$", "", sheet.read_text(encoding="utf-8"))
    sheet.write_text(text.replace("à compléter", "non précisée"), encoding="utf-8")
    with pytest.raises(DataError, match="aucun montant"):
        ess.read(path, source=sheet)


@pytest.mark.parametrize(
    "around",
    [
        '"links": {"next": "https://exemple.fr/page=2"}',
        '"meta": {"total": 61}',
        '"numberMatched": 61',
        '"exceededTransferLimit": true',
    ],
)
def test_a_page_of_an_export_is_not_taken_for_the_whole(around: str, tmp_path: Path) -> None:
    line = '{"nomBeneficiaire": "Anis", "montant": 100, "annee": 2014}'
    tables = ess.read(
        written(tmp_path, f'{{"data": [{line}, {line.replace("100", "250")}], {around}}}', "aides.json")
    )
    assert "READ-TRUNCATED" in set(tables.findings.loc[tables.findings["severity"].eq("blocking"), "code"])


def test_a_word_met_late_in_a_large_file_is_judged_too(tmp_path: Path) -> None:
    head = "Année;Bénéficiaire;Objet;Montant;Etat\n"
    lines = "".join(f"2013;Association {n};Objet {n};{100 + n};Payé\n" for n in range(4000))
    path = written(tmp_path, head + lines)
    assert big.sums(path).lines == 4000
    for late in ("2013;Club X;F;999999;Refusé\n", "Garanties d'emprunt;;;;\n2013;OPH;F;999999;Payé\n"):
        with pytest.raises(big.Undecided):
            big.sums(written(tmp_path, head + lines + late, "late.csv"))


@pytest.mark.parametrize(
    "header",
    [
        "Nom de l'organisme;Attributaire;Montant",
        "COLL_NOM;ATTRIB_NOM;Montant",
        "Autorité administrative;Nom attributaire;Montant",
        "Nom attributaire;Bénéficiaire;Montant",
    ],
)
def test_the_giver_stands_alike_on_every_line(header: str, tmp_path: Path) -> None:
    lines = "".join(f"Ville de Bourges;{name};{euros}\n" for name, euros in LINES)
    funding = ess.read(written(tmp_path, f"{header}\n{lines}")).funding
    assert funding["funder"].unique().tolist() == ["Ville de Bourges"]
    assert funding["recipient"].tolist() == list(NAMES)


def test_the_nature_of_a_body_is_not_its_name_and_an_identifier_may_be_one(tmp_path: Path) -> None:
    lines = "".join(f"Association;{name};{euros}\n" for name, euros in LINES)
    head = "Nature juridique du bénéficiaire;Identification du bénéficiaire;Montant\n"
    assert ess.read(written(tmp_path, head + lines)).funding["recipient"].tolist() == list(NAMES)


def test_a_table_without_a_recipient_says_so(tmp_path: Path) -> None:
    tables = ess.read(written(tmp_path, f"Bénéficiare;Objet;Montant\n{THREE}"))
    told = tables.findings[tables.findings["code"].eq("READ-NO-RECIPIENT")]
    assert told["severity"].tolist() == ["alert"] and "« Bénéficiare »" in told["message"].iloc[0]


def test_the_date_of_the_decision_is_not_that_of_a_reception(tmp_path: Path) -> None:
    lines = "".join(f"{name};12/12/2019;{euros};10/01/2020\n" for name, euros in LINES)
    head = "Bénéficiaire;DATE_DECISION;Montant;DATE_RECEPTION_CONVENTION\n"
    assert ess.read(written(tmp_path, head + lines)).funding["year"].unique().tolist() == [2019]
    tables = ess.read(written(tmp_path, head.replace("RECEPTION_", "") + lines))
    assert "READ-TWO-DATES" in set(tables.findings["code"])


def test_a_column_of_years_with_a_long_name_is_the_year(tmp_path: Path) -> None:
    lines = "".join(f"{name};2018;{euros}\n" for name, euros in LINES)
    head = "Association;Année budgétaire d'affectation de la subvention;Montant\n"
    assert ess.read(written(tmp_path, head + lines)).funding["year"].unique().tolist() == [2018]
