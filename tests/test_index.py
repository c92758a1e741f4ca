"""The index of a folder of reports: groups, key sentences, failures, links that exist."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lxml import html

from ess_analysis.reports.index import write_index


def entry(file: str, **around: Any) -> dict[str, Any]:
    return {"name": file, "file": f"{file}.html", "shown": {}, "status": "rendered", "title": file, **around}


def index(out: Path, *entries: dict[str, Any]) -> html.HtmlElement:
    return html.document_fromstring(write_index(entries, out).read_bytes())


def text(element: html.HtmlElement) -> str:
    return " ".join(element.text_content().split())


def groups(tree: html.HtmlElement) -> dict[str, list[str]]:
    return {
        text(section.find("h2")): [text(h3) for h3 in section.iter("h3")]
        for section in tree.xpath("//section")
    }


def test_reports_stand_by_year_territory_and_funder_the_latest_year_first(tmp_path: Path) -> None:
    tree = index(
        tmp_path,
        entry("rapport 2012", shown={"year": 2012}),
        entry("rapport 2013", shown={"year": 2013}),
        entry("Lille", shown={"territory": "Territoire lillois"}),
        entry("Ville", shown={"funder": "Ville de Lille"}),
        entry("bilan"),
    )
    assert groups(tree) == {
        "Par année": ["rapport 2013", "rapport 2012"],
        "Par territoire": ["Lille"],
        "Par financeur": ["Ville"],
        "Vue d’ensemble": ["bilan"],
    }


def test_the_title_says_whose_grants_or_the_domain_where_reports_say_it(tmp_path: Path) -> None:
    somme = [entry(f"r{year}", title=f"Rapport {year} · Département de la Somme") for year in (2016, 2017)]
    tree = index(tmp_path, *somme)
    assert text(tree.find(".//h1")) == "Rapports sur les subventions · Département de la Somme"
    assert text(index(tmp_path, entry("a")).find(".//title")) == "Rapports sur les subventions"
    (tmp_path / "r2016.html").write_text("<dt>ESS</dt>")
    assert text(index(tmp_path, *somme).find(".//h1")).endswith("l’économie sociale et solidaire")


def test_a_page_and_a_pdf_are_linked_only_where_they_exist(tmp_path: Path) -> None:
    for name in ("a.html", "a.pdf", "b.html"):
        (tmp_path / name).write_text("x")
    links = index(tmp_path, entry("a"), entry("b"), entry("c")).xpath("//main//a/@href")
    assert links == ["a.html", "a.pdf", "b.html"]


def test_a_failed_report_says_so_and_leads_to_the_version_before(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text("hier")
    tree = index(
        tmp_path,
        entry("a", status="failed", error="cellule 3, tableau illisible"),
        entry("b", status="failed", error="arrêté après 600 s"),
    )
    first, second = (text(li) for li in tree.xpath("//li"))
    assert "En échec ; cette page est la version précédente" in first.replace("\u202f", " ")
    assert "cellule 3, tableau illisible" in first and "arrêté après 600 s" in second
    assert "version précédente" not in second
    assert "2 rapports en échec" in text(tree.find(".//main"))
    assert tree.xpath("//main//a/@href") == ["a.html"]


def test_the_key_sentence_is_shown_and_searched_without_accents(tmp_path: Path) -> None:
    (card,) = index(tmp_path, entry("x", key_sentence="En 2013, 73 000 € accordés.")).xpath("//li")
    assert "En 2013, 73 000 € accordés." in text(card) and "accordes" in card.get("data-words")


def test_the_processed_tables_are_linked_where_they_exist(tmp_path: Path) -> None:
    out, tables = tmp_path / "reports", tmp_path / "data" / "processed"
    tables.mkdir(parents=True)
    assert index(out, entry("a")).xpath("//a[contains(@href, 'processed')]") == []
    for name in ("datapackage.json", "funding.csv"):
        (tables / name).write_text("{}")
    links = index(out, entry("a")).xpath("//a[contains(@href, 'processed')]/@href")
    assert links == ["../data/processed/datapackage.json", "../data/processed/funding.csv"]
    assert all((out / link).exists() for link in links)


def test_no_report_at_all_gives_a_page(tmp_path: Path) -> None:
    assert "Aucun rapport" in text(index(tmp_path).find(".//header"))
    assert "1 rapport" in text(index(tmp_path, entry("a")).find(".//header"))
