"""The figures drawn with matplotlib: the same bars, on the same scale, ready for a document."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import pytest

import ess_analysis as ess
from ess_analysis import answers, figures
from ess_analysis.about import about
from ess_analysis.display import Group
from ess_analysis.sentences import said

ROOT = Path(__file__).resolve().parents[1]
QUESTIONS = (
    answers.how_much,
    answers.who_funds,
    answers.who_funds_which_axis,
    answers.which_territories,
    answers.how_concentrated,
    answers.is_the_envelope_kept,
    answers.do_lines_explain_totals,
    answers.who_carries_out,
    answers.which_communes,
)


def frame() -> pd.DataFrame:
    rows = [("A", "Ville", 60.0), ("A", "Métropole", 40.0), ("non détaillé", "Ville", 25.0)]
    return pd.DataFrame(rows, columns=["axis", "funder", "amount_eur"])


def test_the_bars_are_the_amounts_of_the_table() -> None:
    figure = figures.stacked_bars(frame(), "axis", "funder", title="Un titre", alt="x", source="Une source")
    axes = ess.plotted(figure).axes[0]
    widths = sorted(patch.get_width() for patch in axes.patches)  # type: ignore[attr-defined]
    assert widths == [25, 40, 60]
    missing = next(patch for patch in axes.patches if patch.get_width() == 25)  # type: ignore[attr-defined]
    assert missing.get_hatch() and missing.get_linestyle() == "--"
    texts = [text.get_text() for text in ess.plotted(figure).texts]
    assert "Un titre" in texts and "Source : Une source" in texts


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.__name__)
def test_each_answer_of_the_report_can_be_saved_as_an_image(question: object, tmp_path: Path) -> None:
    asked = about(ess.load(ROOT / "data" / "raw"), year=2013)
    ess.plotted(question(asked)).savefig(tmp_path / "figure.png")  # type: ignore[operator]
    assert (tmp_path / "figure.png").read_bytes()[:4] == b"\x89PNG"


def test_the_map_names_the_places_reached_and_draws_them_all() -> None:
    asked = about(ess.load(ROOT / "data" / "raw"), year=2013)
    axes = ess.plotted(answers.which_communes(asked)).axes[0]
    assert len(axes.collections) == 95 and len(axes.texts) == 15


def test_a_figure_is_shown_once_and_nothing_stays_open() -> None:
    before = plt.get_fignums()
    figure = figures.stacked_bars(frame(), "axis", "funder", title="T", alt="x")
    kept = frame()
    ess.plotted(figure)
    assert plt.get_fignums() == before
    pd.testing.assert_frame_equal(kept, frame())


def test_no_bar_does_not_crash_and_an_answer_without_figure_says_so() -> None:
    nothing = figures.stacked_bars(frame().iloc[:0], "axis", "funder", title="T", alt="x")
    ess.plotted(nothing)
    with pytest.raises(ess.DataError, match="pas de figure"):
        ess.plotted(Group((said("Rien."),)))
