"""Figures of a corpus: lengths, ratios of lengths, and both sides along the file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attention_nmt.drawing.plots import plain_figure

from .faults import Fault
from .report import CorpusReport, SplitReport

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_RATIO_TICKS = (0.25, 0.5, 1.0, 2.0, 4.0)


def figure(report: CorpusReport) -> Figure:
    """Four plots of the split that is trained on.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
    """
    split = report.splits[-1]
    drawn = plain_figure(11, 7)
    axes = drawn.subplots(2, 2)

    _draw_lengths(axes[0, 0], split)
    _draw_ratios(axes[0, 1], split, report.languages)
    _draw_stretches(axes[1, 0], split, report.languages)
    _draw_faults(axes[1, 1], split)
    return drawn


def _draw_lengths(axes: Axes, split: SplitReport) -> None:
    """The number of lines by their length."""
    for side in split.sides:
        shown = side.quantile(0.995) + 1
        axes.step(range(shown), side.lengths[:shown], where="mid", label=side.language)

    axes.set(xlabel=f"{split.sides[0].unit} of a line", ylabel="lines")
    axes.legend(frameon=False)


def _draw_ratios(axes: Axes, split: SplitReport, languages: tuple[str, str]) -> None:
    """The number of pairs by their ratio of lengths."""
    ratios = np.exp(np.linspace(-4, 4, len(split.ratios)))
    axes.step(ratios, split.ratios, where="mid")

    source, target = languages
    axes.set_xscale("log")
    axes.set(xlim=(_RATIO_TICKS[0], _RATIO_TICKS[-1]), ylabel="pairs")
    axes.set_xticks(_RATIO_TICKS, [f"{tick:g}" for tick in _RATIO_TICKS])
    axes.minorticks_off()
    axes.set(xlabel=f"characters of {target} for one of {source} (10 added to both)")


def _draw_stretches(axes: Axes, split: SplitReport, languages: tuple[str, str]) -> None:
    """Ratios of lengths and shared words along the file."""
    source, target = languages
    lines = [stretch.last for stretch in split.stretches]
    ratios = [stretch.ratio for stretch in split.stretches]
    shared = [stretch.shared for stretch in split.stretches]

    axes.plot(lines, ratios, ".-", label=f"characters of {target} for one of {source}")
    axes.plot(lines, shared, ".-", label="share of words that both sides have")
    for run in split.misaligned:
        axes.axvspan(run.first, run.last, color="red", alpha=0.2, linewidth=0)

    axes.set_ylim(bottom=0)
    axes.set(xlabel="line (red: out of step)")
    axes.legend(frameon=False)


def _draw_faults(axes: Axes, split: SplitReport) -> None:
    """The share of the pairs that have each fault."""
    faults = [fault for fault in Fault if fault in split.faults]
    names = [fault.name.lower().replace("_", " ") for fault in faults]
    shares = [100 * split.faults[fault].pairs / max(split.pairs, 1) for fault in faults]

    axes.barh(names, shares)
    axes.invert_yaxis()
    axes.set(xlabel="% of the pairs that have a fault")
