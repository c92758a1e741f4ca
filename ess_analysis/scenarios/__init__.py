"""Scenarios 2015-2020: inputs, equations written once, what they give, criteria, the offline explorer page.

from ess_analysis.scenarios import exploration, inputs
known = inputs.read_inputs("data/raw")
exploration.scenarios(known, {"tau": 0.5}, draws=1000)     # option, year, indicator, value, unit, low, high
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ess_analysis.scenarios.inputs import Inputs


def command(options: argparse.Namespace) -> int:
    """What `ess scenarios` prints: tidy records (csv, json), or a summary to read (table)."""
    from ess_analysis import terminal
    from ess_analysis.scenarios import equations, exploration
    from ess_analysis.scenarios.inputs import read_inputs
    from ess_analysis.scenarios.settings import find, settings

    inputs = read_inputs(options.data)
    if options.switch:
        frame = exploration.switching(inputs, options.switch, options.set)
        if options.format == "table":
            value = settings(inputs, options.set)[find(inputs, options.switch)]
            print("\n".join(exploration.switching_told(inputs, options.switch, frame, value)))
            return _notes(inputs, options)
    elif options.format == "table":
        run = equations.simulate(settings(inputs, options.set))
        many = exploration.spread(inputs, options.set, draws=options.draws) if options.draws else None
        frame = exploration.summary(run, many)
    else:
        frame = exploration.scenarios(inputs, options.set, draws=options.draws)
    print(terminal.rendered(frame, options.format))
    return _notes(inputs, options)


def _notes(inputs: Inputs, options: argparse.Namespace) -> int:
    """What a reader must know about these figures, on the error output: records stay clean."""
    from ess_analysis.scenarios import equations, exploration
    from ess_analysis.scenarios.settings import settings

    run = equations.simulate(settings(inputs, options.set))
    said = [*inputs.remarks, *exploration.refuted(inputs), *exploration.impossibilities(run)]
    if options.draws:
        said.append(
            f"Fourchettes : neuf tirages sur dix, {options.draws} tirages, graine {exploration.SEED}."
        )
    if options.format == "table":
        said.append(exploration.RESTS_ON)
    for sentence in said:
        print(sentence, file=sys.stderr)
    return 0


def frozen_parameters(path: Path, data: str | Path = "data/raw") -> dict[str, Any]:
    """What `ess report scenarios --scenario FILE` sets in the notebook, the file being checked first.

    Raises DataError on a file that is absent, unreadable, not a frozen scenario, or out of today's bounds.
    """
    from ess_analysis.scenarios.inputs import read_inputs
    from ess_analysis.scenarios.settings import read_frozen

    read_frozen(path, read_inputs(data))
    return {"scenario": str(path.resolve())}


def explore(options: argparse.Namespace) -> int:
    """The exit code of JupyterLab, or of Voilà with --app, opened on the scenarios notebook."""
    from ess_analysis.scenarios import opening

    return opening.opened(options.data, app=options.app)
