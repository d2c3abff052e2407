"""Translations as HTML: what lights up, and that nothing in a text is taken for HTML."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from attention_nmt.drawing.html import translation_html
from attention_nmt.drawing.plots import plot_alignment
from attention_nmt.translation.results import Alignment, Translation

SOURCE = ["▁a", "▁dog", "</s>"]
TARGET = ["▁ein", "▁Hund", "</s>"]
WEIGHTS = np.array([[0.9, 0.1, 0.0], [0.015, 0.98, 0.005], [0.25, 0.25, 0.5]], np.float32)


class Texts(HTMLParser):
    """The texts and the tags of a page, without its style sheet."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        if self.tags[-1] != "style":
            self.texts.append(data)


def rules(page: str) -> dict[tuple[int, int], float]:
    """The shares that light a piece of the source up, by the pieces of target and source."""
    found = re.findall(r"\.t(\d+):hover\) \.s(\d+) { background: rgba\(255, 170, 0, (.*?)\)", page)
    return {(int(t), int(s)): float(share) for t, s, share in found}


def test_pointing_at_a_piece_lights_up_what_was_read() -> None:
    page = translation_html(SOURCE, TARGET, WEIGHTS)
    assert rules(page) == {
        (0, 0): 0.9,
        (0, 1): 0.1,
        (1, 1): 0.98,
        (2, 0): 0.25,
        (2, 1): 0.25,
        (2, 2): 0.5,
    }
    assert "<script" not in page
    parser = Texts()
    parser.feed(page)
    assert "".join(parser.texts).split() == ["a", "dog</s>", "ein", "Hund</s>"]


def test_without_attention_nothing_lights_up() -> None:
    assert rules(translation_html(SOURCE, TARGET, None)) == {}


def test_texts_are_no_html() -> None:
    page = translation_html(["<script>", "&amp;", "</style>"], ['"><b>'], None)
    parser = Texts()
    parser.feed(page)
    assert set(parser.tags) == {"div", "style", "p", "span"}
    assert "<script>&amp;</style>" in "".join(parser.texts)


def test_two_translations_on_a_page_do_not_light_up_each_other() -> None:
    pages = [translation_html(SOURCE, target, WEIGHTS) for target in (TARGET, TARGET[::-1])]
    names = [re.search(r'id="(.*?)"', page)[1] for page in pages]  # type: ignore[index]
    assert names[0] != names[1]

    read_otherwise = translation_html(SOURCE, TARGET, WEIGHTS[::-1])
    assert f'id="{names[0]}"' not in read_otherwise


def test_a_translation_is_one_line_and_shows_itself() -> None:
    found = Translation("ein Hund", -0.1234, SOURCE, TARGET, WEIGHTS)
    assert repr(found) == "Translation('ein Hund', score=-0.123)"
    assert repr(found._replace(truncated=True)).endswith("truncated=True)")
    assert found._repr_html_() == translation_html(SOURCE, TARGET, WEIGHTS)
    assert Alignment(SOURCE, TARGET, WEIGHTS)._repr_html_() == found._repr_html_()


def test_plots_of_what_is_found() -> None:
    found = Translation("ein Hund", -0.1, SOURCE, TARGET, WEIGHTS)
    for one in (found, Alignment(SOURCE, TARGET, WEIGHTS)):
        (axes,) = plot_alignment(one).axes
        np.testing.assert_array_equal(np.asarray(axes.images[0].get_array()), WEIGHTS)
        assert [label.get_text() for label in axes.get_yticklabels()] == TARGET

    with pytest.raises(ValueError, match="`found` must have an alignment"):
        plot_alignment(found._replace(alignment=None))
