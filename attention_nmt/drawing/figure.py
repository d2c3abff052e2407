"""The figure of all plots; importing it imports matplotlib."""

from __future__ import annotations

import io
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


class PlainFigure(Figure):
    """A figure with an Agg canvas, which needs no display and none of pyplot's state.

    A notebook shows it as a picture, also one in which pyplot was never imported.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        FigureCanvasAgg(self)

    def _repr_png_(self) -> bytes:
        picture = io.BytesIO()
        self.savefig(picture, format="png")
        return picture.getvalue()
