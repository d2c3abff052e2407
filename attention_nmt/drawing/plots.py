"""Plots, and heat maps of alignments in the manner of figure 3 of arXiv 1409.0473.

In these source words run along the top, target words down the left side; black is weight 0 and
white is weight 1. Figures are built without pyplot, so nothing here touches its global state or
needs a display. matplotlib, of the extra `plots`, is imported when something is drawn.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_nmt.checks import missing_package, require
from attention_nmt.drawing.fonts import drawable
from attention_nmt.files import atomic_write
from attention_nmt.translation.results import Alignment, Translation

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_CELL_INCHES = 0.28
_BORDER_INCHES = 0.12
_FONT_POINTS = 11
_DOTS_PER_INCH = 100


def alignment_figure(
    weights: np.ndarray, source_tokens: Sequence[str], target_tokens: Sequence[str]
) -> Figure:
    """Draws attention weights as a heat map of square cells, of one size for any number of them.

    Args:
        weights: [T, S], from 0 to 1; values outside are drawn as the nearer of the two.
        source_tokens: S labels for the columns, words or pieces; one that no installed font has is
            drawn as its number, from 1, and standard error says so once.
        target_tokens: T labels for the rows.

    Returns:
        A figure with an Agg canvas and one pair of axes, in which cell (t, s) has its centre at
        x = s, y = t.

    Raises:
        ValueError: the shape of `weights` differs from the token counts, or there is no token on
            one side.
        ModuleNotFoundError: matplotlib is not installed.
    """
    weights = np.asarray(weights)
    shape = (len(target_tokens), len(source_tokens))
    expected = f"of shape (target tokens, source tokens) = {shape}"
    require(weights.shape == shape, "weights", expected, weights.shape)
    require(0 not in shape, "weights", "of at least one target and one source token", shape)

    figure = _figure()
    axes = figure.add_subplot()
    axes.imshow(weights, cmap="gray", vmin=0.0, vmax=1.0, interpolation="nearest", aspect="auto")
    _label(axes, source_tokens, target_tokens)
    _fit(figure, axes, columns=len(source_tokens), rows=len(target_tokens))
    return figure


def plot_alignment(found: Translation | Alignment) -> Figure:
    """Draws what a translation, or the alignment of a given one, read at each of its pieces.

    A notebook shows the figure; `figure.savefig(path)` writes it.

    Args:
        found: a translation of a model with attention, or an element of `Translator.align`.

    Raises:
        ValueError: it has no alignment, or no piece.
        ModuleNotFoundError: matplotlib is not installed.
    """
    weights = found.alignment if isinstance(found, Translation) else found.weights
    if weights is None:
        raise ValueError(f"`found` must have an alignment. Received: {found!r}.")
    return alignment_figure(weights, found.source_tokens, found.target_tokens)


def save_alignment(
    path: str | os.PathLike[str],
    weights: np.ndarray,
    source_tokens: Sequence[str],
    target_tokens: Sequence[str],
) -> None:
    """Writes `alignment_figure` as a PNG file, whatever the name ends in; makes missing folders.

    Raises:
        ValueError: as for `alignment_figure`.
        ModuleNotFoundError: matplotlib is not installed.
        OSError: the file cannot be written.
    """
    save(alignment_figure(weights, source_tokens, target_tokens), Path(path))


def alignment_image(
    weights: np.ndarray, source_tokens: Sequence[str], target_tokens: Sequence[str]
) -> np.ndarray:
    """Gives `alignment_figure` as pixels, [height, width, 3] uint8 RGB.

    A batch of them is what `tf.summary.image` takes.

    Raises:
        ValueError: as for `alignment_figure`.
        ModuleNotFoundError: matplotlib is not installed.
    """
    canvas: Any = alignment_figure(weights, source_tokens, target_tokens).canvas
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def plain_figure(width: float, height: float) -> Figure:
    """An empty figure of a size in inches, which makes way for labels.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
    """
    return _figure(figsize=(width, height), layout="constrained")


def save(figure: Figure, path: Path) -> None:
    """Writes a figure as a PNG file; a reader never finds half of it."""
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format="png")


def save_measured(output: Path, values: Any, figure: Figure) -> None:
    """Writes what was measured as `OUTPUT.json` and its plot as `OUTPUT.png`."""
    with atomic_write(Path(f"{output}.json")) as temporary:
        temporary.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
    save(figure, Path(f"{output}.png"))


def _figure(**options: Any) -> Figure:
    """An empty figure with an Agg canvas, which needs no display."""
    try:
        from attention_nmt.drawing.figure import PlainFigure
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(missing_package(error), name=error.name) from error
    return PlainFigure(dpi=_DOTS_PER_INCH, **options)


def _label(axes: Axes, source_tokens: Sequence[str], target_tokens: Sequence[str]) -> None:
    labels = drawable(source_tokens, target_tokens)
    style: dict[str, Any] = {
        "fontsize": _FONT_POINTS,
        "fontfamily": labels.fonts,
        # A "$" in a token is a dollar sign: otherwise two of them would set a formula.
        "parse_math": False,
    }
    axes.set_xticks(range(len(labels.source)), labels.source, rotation="vertical", **style)
    axes.set_yticks(range(len(labels.target)), labels.target, **style)
    axes.tick_params(top=True, labeltop=True, bottom=False, labelbottom=False, length=2, pad=3)


def _fit(figure: Figure, axes: Axes, columns: int, rows: int) -> None:
    """Sizes the figure to its labels, measured as drawn, and its cells."""
    cells = axes.get_window_extent()
    drawn = axes.get_tightbbox()
    assert drawn is not None  # the axes are visible
    left = (cells.x0 - drawn.x0) / figure.dpi + _BORDER_INCHES
    top = (drawn.y1 - cells.y1) / figure.dpi + _BORDER_INCHES

    width = columns * _CELL_INCHES
    height = rows * _CELL_INCHES
    full_width = left + width + _BORDER_INCHES
    full_height = top + height + _BORDER_INCHES
    figure.set_size_inches(full_width, full_height)

    place = (
        left / full_width,
        _BORDER_INCHES / full_height,
        width / full_width,
        height / full_height,
    )
    axes.set_position(place)
