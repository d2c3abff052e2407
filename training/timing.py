"""Times of calls and of translations."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attention_nmt.translation.results import Translation
    from attention_nmt.translation.translator import Translator

READINGS = 5


def median_seconds(call: Callable[[], object]) -> float:
    """The median time of a call, over `READINGS` calls after the first.

    The first makes and compiles the graph. A call must wait for its result.
    """
    seconds = []
    for _ in range(READINGS + 1):
        began = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds[1:])


def timed_translations(
    translator: Translator, sources: Sequence[str]
) -> tuple[list[Translation], float]:
    """Translations without alignments, and the seconds that they took."""
    translator(sources[:1], alignments=False)  # traces the graph, which is not translation

    began = time.perf_counter()
    translations = translator(sources, alignments=False)
    return translations, time.perf_counter() - began
