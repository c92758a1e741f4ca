"""What does not hold in the tables: each check is a code, a severity, a sentence and a function.

A check points, it never repairs. Its function takes a `View` of the tables and gives what fails, each with
its cell; rows that fail in great number are told once, with their count and their first cells. A number
told in a message is cited: `checked` gives, with the findings, what each of their numbers was computed from.
Severities: *blocking*, something published would be wrong; *alert*, a row or a total is doubtful; *info*, a
fact that the reader of the figures must know (a total found exact, an amount shared between territories).
The rooms, each of which imports only from those above it:

    recipes      how a cited number was computed
    lines        rows in turn, in groups, chosen, summed
    naming       how a message names cells, rows, columns, records
    view         the tables as the checks look at them
    spelling     checks: names and words written otherwise elsewhere
    keys         checks: identifiers, lines and numbers repeated
    references   checks: annexes and projects named in texts
    balance      checks: lines, rows and counts against what is stated
    gaps         checks: what the gaps of a table say together
    details      checks: details, envelopes, stages
    years        checks: years missing, out of their period
    cells        checks: blanks, zeros, shared amounts
    findings     the list of the checks, and what they find
"""

from __future__ import annotations

from ess_analysis.checks.findings import CHECKS, Checked, check, checked

__all__ = ["CHECKS", "Checked", "check", "checked"]
