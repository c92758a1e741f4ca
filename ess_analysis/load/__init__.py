"""Grids → tidy tables, driven by the source sheets; corrections.

A column is read whole and only its distinct values are looped over: a workbook of twelve rows and a published
file of a million go the same way. The rooms, each of which imports only from those above it:

    tidy         the tidy tables themselves, joined
    cells        a cell as text, a column read once per distinct value
    words        the words of stages and kinds
    headers      the headers, and the column that each one names
    annotations  what people write beside the data: corrections, readings, remarks
    body         the rows of a table, apart from its headers, totals and section titles
    notes        what is told of the cells read
    amounts      the amounts that cells say
    records      which rows are one action
    funding      one line per amount: who gives, who receives, when, how; who carries it out
    places       the places that records name
    stated       the results and the totals that the document states
    doubts       what is doubtful in the content
    form         what the form of the sheet says against its content
    reading      one file, one table of a grid
    folder       a whole data folder
"""

from __future__ import annotations

from ess_analysis.load.folder import load
from ess_analysis.load.reading import load_grid, read_file
from ess_analysis.load.tidy import Tables, domains, joined

__all__ = ["Tables", "domains", "joined", "load", "load_grid", "read_file"]
