"""The columns of a table that hold its amounts: their sign, their unit, their currency, which add up others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pandas as pd

from ess_analysis import french
from ess_analysis.delimited import Note
from ess_analysis.open_data import currencies, doubts
from ess_analysis.open_data.choosing import blank
from ess_analysis.open_data.headers import (
    IN_KIND_WORDS,
    OWED,
    TAKEN_BACK,
    Meaning,
    giver_or_year,
    meaning,
    words,
)
from ess_analysis.open_data.lines import Lines, about_rows, digits, lettered
from ess_analysis.sources import ColumnRead

UNSURE = "peut-être un montant : l'en-tête ne le dit pas assez"
_NUMERIC = (  # headers under which whole numbers of one to three digits are at home
    r"\b(code|n|no|num|numero|dep|departement|dept|insee|cp|postal|nombre|nb|taux|pourcentage|pct|age|mois|jour|annee|an|"
    r"chapitre|article|fonction|sous fonction|section|classe|rang|ordre|id|identifiant|ref|reference|duree|canton|axe|"
    r"version|lot|tranche|note|effectif|adherents|quantite|number|count)\b|%"
)


class Amounts(Lines):
    """The columns of amounts of a table being understood."""

    def _amounts_by_content(self) -> None:
        """A column of numbers named by a stage, a year, a section or « total » alone is an amount, beside one that says so."""
        meanings = dict(self.table.meanings)
        for header, said in self.table.meanings.items():
            if said.role == "title" and doubts.are_numbers(self._values(header)):
                said = meanings[header] = Meaning()  # « Projet », over sums
            in_kind = not said.role and said.why == IN_KIND_WORDS
            unsaid = not said.role and not said.field and said.why == Meaning().why
            unsure = said.role == "amount" and not said.sure and not giver_or_year(header)
            if not (in_kind or unsaid or unsure):
                continue
            full = meaning(f"montant {header}")
            if in_kind:
                full = replace(said, role="amount", section=words(header))
            if full.role == "amount" and (
                in_kind or (full.sure and not unsaid) or doubts.names_amount(words(header))
            ):
                if doubts.are_numbers(self._values(header)):
                    meanings[header] = replace(full, field="")
            elif unsaid and not full.role and full.why not in (Meaning().why, OWED):
                meanings[header] = full
        self.table = replace(self.table, meanings=meanings)

    def _keep_total(self) -> None:
        """The column that adds up all the others, where their names do not say that they are amounts: it is the amount."""
        meanings = self.table.meanings
        numbers = {
            header: self._euros(header)[0]
            for header, said in meanings.items()
            if (said.role == "amount" and not said.kind)
            or (
                said.role in ("", "title")
                and said.why == Meaning().why
                and not doubts.other_numbers(words(header))
            )
            if doubts.are_numbers(self._values(header))
        }
        frames = pd.DataFrame(numbers)
        for header in [
            one for one in self.table.role("amount") if one in frames and not meanings[one].funder
        ]:
            parts = frames.drop(columns=header)
            own_money = [one for one in map(str, parts) if doubts.own_money(words(one))]
            named = [one for one in map(str, parts) if meanings[one].role == "amount" and meanings[one].sure]
            if parts.shape[1] < 2 or len(named) == parts.shape[1]:
                continue
            gap = (frames[header] - parts.sum(axis="columns", min_count=1)).dropna().abs()
            if len(gap) > 1 and len(gap) >= 0.9 * len(frames) and gap.lt(0.005).all():
                if own_money:
                    self.missing.append(
                        f"« {header} » additionne aussi « {own_money[0]} » : quelles colonnes compter ?"
                    )
                part = Meaning(why=f"détail de « {header} »")
                read: dict[str, Meaning] = dict.fromkeys(map(str, parts), part)
                # a column for each giver: the total proves that they are sums
                if all(meanings[one].funder for one in read):
                    whole = meanings[header]
                    currency = whole.currency or next(iter(currencies.named([header])), "")
                    for one in read:
                        own_stage = meanings[one].stage or whole.stage
                        read[one] = replace(meanings[one], stage=own_stage, currency=currency, sure=True)
                    read[header] = Meaning(why="somme des autres colonnes")
                self.table = replace(self.table, meanings={**meanings, **read})
                return

    def _refuse_headers(self) -> None:
        """Another table above this one, or a level of the header taken for its first row."""
        if self.table.above:
            self.missing.append(
                f"la ligne {self.table.above} : l'en-tête d'une autre table, au-dessus de celle-ci"
            )
        for first in self.body.iloc[:1].to_dict(orient="records"):
            texts = [str(value).removesuffix(".0") for value in first.values() if not blank(value)]
            texts = [text for text in texts if not re.fullmatch(r"\(.*\)|en (?:€|euros?)", text.strip())]
            years = len(set(texts)) > 1 and all(re.fullmatch(r"(?:19|20)\d\d", text) for text in texts)
            over = [first[self.table.columns[header]] for header in self.table.role("amount")]
            words_over = any(
                not blank(value) and re.fullmatch(r"\D*[^\W\d_]\D*", str(value)) for value in over
            )
            if years or (texts and words_over and not any(re.search(r"\d", text) for text in texts)):
                self._ask_level(texts)

    def _ask_level(self, texts: list[str]) -> None:
        row = self.table.header[1] + 1
        self.missing.append(f"la ligne {row} ({', '.join(texts)[:80]}) : un second niveau d'en-tête ?")

    def _refuse_unread(self, amounts: list[ColumnRead]) -> None:
        """Numbers that look like amounts, in a column that the table reads under no name."""
        for header, why in self.ignored.items():
            if why == TAKEN_BACK and self._euros(header)[0].fillna(0).ne(0).any():
                self.missing.append(f"« {header} » : des montants annulés ou rendus, à déduire ?")
            if (
                why == Meaning().why
                and amounts
                and doubts.look_like_amounts(
                    words(header), self._values(header), len(self.body) - len(self.skipped)
                )
            ):
                self.missing.append(
                    f"« {header} » : des nombres qui ressemblent à des montants, à lire ou à laisser ?"
                )

    def _amount_columns(self) -> list[ColumnRead]:
        table = self.table
        named = [
            header
            for header in table.role("amount")
            if not all(map(doubts.says_no_amount, pd.unique(self._values(header))))
        ]
        for header in table.role("amount"):
            if header not in named:
                self.ignored[header] = "colonne vide"
        self._skip_repeated_headers(named)
        self.decimal = self._decimal(named)
        self._skip_lines_apart(named)
        read: list[str] = []
        unsure: list[str] = []
        wordy: list[tuple[str, pd.Series]] = []
        for header in named:
            values = self._values(header)
            if values.empty:
                continue
            lost = self._euros(header)[1]
            unread = lost.mean()
            if unread <= 0.2 and table.meanings[header].sure:
                read.append(header)
            elif unread <= 0.2:
                unsure.append(header)
            elif table.meanings[header].sure:
                wordy.append((header, lost))
            if unread > 0.2:
                self.ignored[header] = "texte, sans montant"
        for header, lost in wordy:
            if digits(self._values(header)).any() or not read:
                self.ignored[header] = UNSURE
                if any(one.startswith(("la monnaie", "le signe décimal")) for one in self.missing):
                    continue  # which is why they are not read
                cells, share = self._values(header)[lost], french.percent(lost.mean())
                self.missing.append(
                    f"« {header} » : {share} des cellules ne se lisent pas comme des montants, "
                    f"telle « {str(cells.iloc[0])[:40]} » (ligne {cells.index[0] + 1})"
                )
        if read and unsure:
            kept = self._without_sums([*read, *unsure], ask=False)
            read, unsure = [one for one in read if one in kept], [one for one in unsure if one in kept]
        if len(unsure) == 1 and not read and not wordy and self._alone(unsure[0]):
            others = [f"« {one} » ({why})" for one, why in self._other_sums(unsure[0])]
            beside = (
                f" ; laissé de côté : {french.listing(others)}"
                if others
                else " : c'est la seule colonne de sommes"
            )
            text = f"« {unsure[0]} » est lu comme le montant{beside}."
            self.notes.append(Note("READ-AMOUNT-COLUMN", "alert", text))
            read, unsure = unsure, []
        asked = f" (« {' », « '.join(unsure)} » ?)" if unsure else ""
        if not read and not wordy:
            self.missing.append(f"la colonne des montants{asked}")
        elif unsure:
            self.missing.append(f"ce que sont les autres montants{asked}")
        self.ignored |= dict.fromkeys(unsure, UNSURE)
        self._skip_totals(read)
        read = self._without_sums(read)
        self._refuse_rivals(read)
        self._refuse_shift(read)
        return [self._column(header) for header in read]

    def _other_sums(self, header: str) -> Iterator[tuple[str, str]]:
        """The columns of numbers that their own names leave out, with why."""
        for one, said in self.table.meanings.items():
            named = not said.role and said.why != Meaning().why and not doubts.other_numbers(words(one))
            if one != header and named and doubts.are_numbers(self._values(one)):
                yield one, said.why

    def _alone(self, header: str) -> bool:
        """Whether no other column of the table holds sums, read or not."""
        if currencies.unit([words(header)]):
            return False
        others = [
            one
            for one, said in self.table.meanings.items()
            if one != header and (said.role == "amount" or (not said.role and said.why == Meaning().why))
        ]
        return not any(
            doubts.are_numbers(self._values(one)) and not doubts.other_numbers(words(one)) for one in others
        )

    def _column(self, header: str) -> ColumnRead:
        said = self.table.meanings[header]
        return ColumnRead(
            header,
            "amount",
            funder=said.funder,
            stage=said.stage,
            kind=said.kind,
            year=said.year,
            unit=said.unit,
        )

    def _decimal(self, named: list[str]) -> str:
        """The decimal sign that the amounts themselves settle, empty where nothing needs it."""
        texts = pd.concat([self._values(header) for header in named]) if named else pd.Series(dtype="object")
        texts = pd.Series(pd.unique(texts[texts.map(lambda value: isinstance(value, str))]), dtype="str")
        if self.currency in ("GBP", "USD"):
            return "."
        bare = texts.str.replace(r"[\s\u00a0\u202f€£$]|eur\w*", "", regex=True, case=False)
        signs = {
            sign: bare.str.fullmatch(rf"[-−(]?[1-9]\d{{0,2}}{re.escape(sign)}\d{{3}}\)?").any()
            for sign in ",."
        }
        if not any(signs.values()):
            return ""
        says, both = {}, False
        for sign, other in ((",", "."), (".", ",")):
            s, o = re.escape(sign), re.escape(other)
            long = bare.str.fullmatch(rf"[-−(]?(?:(?:0|\d{{4,}}){s}\d{{3}}|\d+{s}\d{{4,}})\)?").any()
            cents = bare.str.fullmatch(rf"[-−(]?\d+{s}\d{{1,2}}\)?").any()
            both = both or bool(cents and signs[sign])  # « 1 500,00 » and « 1,500 » in the same column
            grouped = bare.str.fullmatch(
                rf"[-−(]?(?:\d{{1,3}}(?:{o}\d{{3}})+{s}\d+|\d{{1,3}}(?:{o}\d{{3}}){{2,}})\)?"
            ).any()
            says[sign] = bool(long or (cents and not signs[sign]) or (grouped and not signs[sign]))
        if says[","] != says["."] and not both:
            return "," if says[","] else "."
        self.missing.append(
            f"le signe décimal : « {next(iter(texts[bare.str.fullmatch(r'[1-9][0-9]{0,2}[.,][0-9]{3}')]), '')} » se lit de deux façons"
        )
        return ""

    def _without_sums(self, read: list[str], ask: bool = True) -> list[str]:
        """The amount columns, those that only add up the others left out."""
        frames = pd.DataFrame({header: self._euros(header)[0] for header in read})
        if len(read) < 2:
            return read
        money = [header for header in read if not self.table.meanings[header].kind]
        givers = {header for header in money if self.table.meanings[header].funder}  # none adds up the others
        partial: list[tuple[str, int]] = []
        for header in [one for one in money if "total" in words(one) and len(money) < len(read)]:
            gap = frames[header] - frames.drop(columns=header).sum(axis="columns")
            if (
                len(gap.dropna()) > 1 and gap.dropna().abs().lt(0.005).all()
            ):  # grants and aid in kind, together
                self.ignored[header] = "somme des autres colonnes"
                return [one for one in read if one != header]
        whole = [header for header in money if "total" in words(header)]
        rest = [header for header in money if header not in whole]
        if len(whole) == 1 and (len(rest) > 1 or {*rest} & givers):
            gap = (frames[whole[0]] - frames[rest].sum(axis="columns", min_count=1)).dropna().abs()
            if len(gap) and gap.gt(0.005).any() and ask:
                row = int(gap.index[gap.gt(0.005)][0])
                self.missing.append(
                    f"la ligne {row + 1} : « {whole[0]} » n'y est pas la somme des autres colonnes lues"
                )
                return read
        for header in money:
            own = self.table.meanings[header].stage
            others = [other for other in money if other != header]
            if own and {self.table.meanings[other].stage for other in others} - {own, ""}:
                continue  # what was voted is not the sum of what was paid, though it is as much
            if not others or header in givers:
                continue
            total, parts = frames[header], frames[others].sum(axis="columns", min_count=1)
            both = total.notna() & parts.notna()
            equal = (total - parts).abs()[both] < 0.005
            summing = len(others) > 1 or "total" in words(header)
            if summing and both.mean() > 0.9 and equal.all():
                self.ignored[header] = "somme des autres colonnes"
                return [one for one in read if one != header]
            if "total" in words(header) and 0.5 < equal.mean() < 1 and both.mean() > 0.5:
                partial.append((header, equal.index[~equal][0]))
            if len(others) == 1 and not both.any() and self._is_parent(total, parts):
                self.ignored[header] = "montant des lignes mères, détaillé par les lignes filles"
                self.skipped |= set(total.dropna().index)
                self.notes.append(
                    about_rows(
                        "READ-PARENT",
                        "info",
                        total.dropna().index,
                        "est une ligne mère, détaillée dessous",
                        "sont des lignes mères, détaillées dessous",
                    )
                )
                return [one for one in read if one != header]
        if ask and partial:
            header, row = partial[0]
            self.missing.append(
                f"la ligne {row + 1} : « {header} » n'y est pas la somme des autres colonnes, comme ailleurs"
            )
        return read

    def _is_parent(self, total: pd.Series, parts: pd.Series) -> bool:
        """Whether each parent's amount is the sum of its lines: those below it, or those of the same recipient."""
        rows = total.index
        families: list[pd.Series[Any]] = [total.notna().cumsum()]
        for header in [*self.table.role("recipient_id"), *self.table.role("recipient")]:
            families.append(self.body[self.table.columns[header]].loc[rows].astype("str"))
        for family in families:
            gap = (total.groupby(family).sum() - parts.groupby(family).sum()).abs()
            if len(total.dropna()) > 1 and gap.lt(0.005).all():
                return True
        return False

    def _refuse_rivals(self, read: list[str]) -> None:
        """Two columns that could each be *the* amount, with nothing to tell them apart."""
        for at, header in enumerate(read):
            said = self.table.meanings[header]
            for other in read[:at]:
                beside = self.table.meanings[other]
                apart = said.stage and beside.stage and said.stage != beside.stage
                apart = (
                    apart
                    or (said.year and beside.year and said.year != beside.year)
                    or said.kind != beside.kind
                )
                apart = apart or said.funder != beside.funder
                apart = apart or (said.section and beside.section and said.section != beside.section)
                if not apart:
                    self.missing.append(f"lequel est le montant : « {other} » ou « {header} » ?")

    def _refuse_pushed(self) -> None:
        """A delimiter inside a text pushes the line by one column: the last one, blank elsewhere, is filled."""
        if not self.table.grid.delimiter or len(self.body) < 2:
            return
        columns = [int(str(at)) for at in self.body]
        count = {at: int(self.filled[at].sum()) for at in columns}
        rare = [at for at in columns if 0 < count[at] <= max(1, len(self.body) // 50)]
        full = [at for at in columns if count[at] >= 0.9 * len(self.body)]
        pushed = self.filled[rare].any(axis="columns") & ~self.filled.index.isin(self.skipped)
        for at in full if rare else []:
            if not digits(self.body[at][~pushed]).mean() > 0.9:
                continue
            texts = lettered(self.body[at][pushed]).dropna()
            for row, text in texts[~texts.str.contains("[0-9]", regex=True)].head(1).items():
                said = f"« {str(text).strip()} » dans une colonne de nombres, une ligne décalée ?"
                self.missing.append(f"la ligne {int(str(row)) + 1} : {said}")
                return

    def _refuse_shift(self, read: list[str]) -> None:
        """A decimal comma without quotes, in a file cut at commas, pushes its cents into the next column."""
        self._refuse_pushed()
        if self.table.grid.delimiter != ",":
            return
        named = {at: header for header, at in self.table.columns.items()}
        for header in read:
            beside = named.get(self.table.columns[header] + 1)
            if beside is None or self.table.meanings[beside].role == "amount":
                continue
            texts = self._values(beside).astype("str").str.strip()
            cents = texts.str.fullmatch(r"\d{1,3}(?:\.\d+)?\s*(?:€|euros?|EUR)?").fillna(False).astype("bool")
            known = not re.search(_NUMERIC, words(beside)) or beside.startswith("colonne ")
            if cents.any() and (known or not cents.all()):
                row = texts.index[cents][0]
                self.missing.append(
                    f"la ligne {row + 1} : « {texts[row]} » à droite du montant, des centimes décalés ?"
                )

    def _currency(self) -> str:
        """The one currency that a header, a column or the signs in the cells say."""
        amounts = self.table.role("amount")
        found = {self.table.meanings[header].currency for header in amounts} - {""} | currencies.named(
            amounts
        )
        for header in self.table.role("currency"):
            codes = {str(value).strip().upper() for value in self._values(header)}
            found |= {
                {"€": "EUR", "EURO": "EUR", "EUROS": "EUR", "£": "GBP"}.get(code, code) for code in codes
            }
        if any(re.search(r"€|\beuros?\b", header, re.IGNORECASE) for header in amounts):
            found.add("EUR")
        for header, said in self.table.meanings.items():
            if not said.role and (own := currencies.said_alone(pd.unique(self._values(header))[:20])):
                found |= own
        dollar = None
        for header in amounts if not found - {"EUR"} else []:
            texts = (
                self._values(header).map(lambda value: value if isinstance(value, str) else "").astype("str")
            )
            signs = {"EUR": r"€|\beuros?\b", **currencies.CURRENCIES}
            found |= {
                code for code, sign in signs.items() if texts.str.contains(sign, regex=True, case=False).any()
            }
            swiss = texts[texts.map(french.is_swiss)]
            if len(swiss) and not found:
                self.missing.append(
                    f"la monnaie : « {swiss.iloc[0]} » s'écrit à la manière suisse ; est-ce en francs suisses ?"
                )
            signed = texts[texts.str.contains("$", regex=False)]
            dollar = dollar or currencies.bare_dollar([header, *signed.head(1)])
        dollar = dollar if found else dollar or currencies.bare_dollar(self._titles())
        if dollar:
            self.missing.append(f"la monnaie : « {dollar} » est le dollar de quel pays (USD, CAD…) ?")
        shown = currencies.shown_currencies(self._formats())
        found = found or shown
        for sign in sorted(sign for sign in found if not re.fullmatch("[A-Z]{3}", sign)):
            where = "le format des montants" if sign in shown else "l'en-tête"
            self.missing.append(f"la monnaie : {where} montre « {sign} »")
        around = currencies.named(self._titles()) | shown
        if around and not found:
            found = around
        elif around - found:
            self.missing.append(
                f"la monnaie : {', '.join(sorted(around | found))} selon l'endroit du fichier"
            )
        english = any(
            re.search(r"\b(amount|paid|award\w*|grants?|agreement|value|funding)\b", words(header))
            for header in amounts
        )
        if english and not found:
            self.missing.append("la monnaie : les en-têtes sont en anglais et rien ne la dit")
        if len(found) > 1:
            self.missing.append(f"la monnaie : {', '.join(sorted(found))} dans le même fichier")
        if found and found != {"EUR"} and len(found) == 1:
            code = next(iter(found))
            self.notes.append(Note("READ-CURRENCY", "alert", f"Montants en {code}, non convertis."))
        return next(iter(sorted(found)), "EUR")

    def _formats(self) -> list[str]:
        """The number formats of the columns of amounts, as far as the file tells."""
        formats = self.table.grid.formats
        at = [self.table.columns[header] for header in self.table.role("amount")]
        return [one for column in at for one in formats.get(column, ())]

    def _refuse_yearly(self, amounts: list[ColumnRead]) -> None:
        """A yearly amount beside the number of its years."""
        duration = r"\bduree\b|\bn(?:om)?br?e? d? ?annees\b"
        lasting = next((one for one in self.table.columns if re.search(duration, words(one))), None)
        yearly = next((one.header for one in amounts if re.search(r"\bannuel\w*\b", words(one.header))), None)
        if lasting and yearly:
            self.missing.append(f"« {yearly} » et « {lasting} » : le montant d'une année, ou de toutes ?")

    def _refuse_units(self, amounts: list[ColumnRead]) -> None:
        """Thousands, millions or cents said anywhere but in the header of the amount."""
        if any(column.unit != 1 for column in amounts):
            return
        filled = self.filled.loc[sorted(self.skipped)].sum(axis="columns")
        thin = self.body.loc[filled.index[filled < 3]].to_numpy().ravel()
        skipped = [str(value) for value in thin if isinstance(value, str)]
        elsewhere = [
            str(value)
            for grid in self.others
            for value in grid.values.iloc[:200].to_numpy().ravel()
            if isinstance(value, str) and re.search(r"\ben (?:milliers|k ?€|k ?euros)", value, re.IGNORECASE)
        ]
        found = currencies.unit(
            [*self._titles(), *skipped, *elsewhere, self.table.grid.sheet, self.path.stem]
        )
        found = found or currencies.shown_unit(self._formats())
        if percent := next((one for one in self._formats() if "%" in one), None):
            self.missing.append(f"l'unité des montants : le format « {percent} » affiche des pourcentages")
        amounts_at = {self.table.columns[column.header] for column in amounts}
        for header, at in self.table.columns.items():
            if not found and at not in amounts_at:
                found = (
                    currencies.unit([header])
                    if self.table.meanings[header].role == "" and len(header) < 40
                    else None
                )
                found = found or currencies.unit_alone(pd.unique(self._values(header))[:50])
        if found:
            self.missing.append(f"l'unité des montants : « {found} » est écrit hors de leur en-tête")
