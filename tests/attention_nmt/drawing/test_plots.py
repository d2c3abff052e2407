import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imread

from attention_nmt.drawing import fonts
from attention_nmt.drawing.plots import alignment_figure, alignment_image, save_alignment

SOURCE = ["L'", "accord", "été", "signé"]
TARGET = ["The", "agreement", "signed"]
WEIGHTS = np.array([[1.0, 0.0, 0.0, 0.0], [0.25, 0.5, 0.0, 0.25], [0.0, 0.0, 0.2, 0.8]])


def cell_pixels(weights: np.ndarray, source: list[str], target: list[str]) -> np.ndarray:
    """Renders the figure and reads the pixel at the centre of each cell: [T, S, RGB]."""
    figure = alignment_figure(weights, source, target)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    image = np.asarray(canvas.buffer_rgba())
    cells = [[(s, t) for s in range(len(source))] for t in range(len(target))]
    x, y = figure.axes[0].transData.transform(np.reshape(cells, (-1, 2))).round().astype(int).T
    return image[len(image) - 1 - y, x, :3].reshape(len(target), len(source), 3)


def test_cells_are_gray_in_proportion_to_the_weight() -> None:
    pixels = cell_pixels(WEIGHTS, SOURCE, TARGET)
    np.testing.assert_allclose(pixels, 255 * WEIGHTS[..., None] * np.ones(3), atol=1.5)


def test_gray_does_not_depend_on_the_greatest_weight_and_is_clipped() -> None:
    np.testing.assert_allclose(
        cell_pixels(np.array([[0.1, 0.2]]), ["a", "b"], ["c"])[..., 0], [[25.5, 51]], atol=1.5
    )
    np.testing.assert_array_equal(
        cell_pixels(np.array([[-1.0, 2.0]]), ["a", "b"], ["c"])[..., 0], [[0, 255]]
    )


def test_source_runs_along_the_top_and_target_down_the_left() -> None:
    figure = alignment_figure(WEIGHTS, SOURCE, TARGET)
    figure.canvas.draw()
    axes = figure.axes[0]
    columns, rows = axes.get_xticklabels(), axes.get_yticklabels()
    assert [label.get_text() for label in columns] == SOURCE
    assert [label.get_text() for label in rows] == TARGET
    assert {label.get_rotation() for label in columns} == {90.0}
    cells = axes.get_window_extent()
    shown = [tick.label2.get_window_extent() for tick in axes.xaxis.get_major_ticks()]
    assert all(box.y0 > cells.y1 for box in shown)
    assert [box.x0 for box in shown] == sorted(box.x0 for box in shown)
    beside = [label.get_window_extent() for label in rows]
    assert all(box.x1 < cells.x0 for box in beside)
    assert [box.y0 for box in beside] == sorted((box.y0 for box in beside), reverse=True)


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (3, 12), (40, 40)])
def test_cells_are_square_and_labels_fit(rows: int, columns: int) -> None:
    figure = alignment_figure(
        np.zeros((rows, columns)), ["Fußgängerübergang"] * columns, ["internationalement"] * rows
    )
    figure.canvas.draw()
    cells, drawn = figure.axes[0].get_window_extent(), figure.axes[0].get_tightbbox()
    assert cells.width / columns == pytest.approx(28, abs=0.1)
    assert cells.height / rows == pytest.approx(28, abs=0.1)
    width, height = figure.get_size_inches() * figure.dpi
    assert drawn is not None
    assert drawn.x0 > 0
    assert drawn.y0 > 0
    assert drawn.x1 < width
    assert drawn.y1 < height
    label = figure.axes[0].get_yticklabels()[0].get_window_extent()
    assert label.height < 28  # so neighbours do not overlap


def test_size_grows_with_tokens() -> None:
    height, width, _ = alignment_image(np.eye(5), ["a"] * 5, ["b"] * 5).shape
    taller, same_width, _ = alignment_image(np.zeros((7, 5)), ["a"] * 5, ["b"] * 7).shape
    same_height, wider, _ = alignment_image(np.zeros((5, 8)), ["a"] * 8, ["b"] * 5).shape
    np.testing.assert_allclose([taller - height, wider - width], [2 * 28, 3 * 28], atol=1)
    np.testing.assert_allclose([same_height, same_width], [height, width], atol=1)


def test_dollar_signs_are_not_formulas() -> None:
    figure = alignment_figure(np.eye(2), ["$x$", "$\\frac"], ["a_b", "$$"])
    figure.canvas.draw()
    assert not any(label.get_parse_math() for label in figure.axes[0].get_xticklabels(which="both"))


def test_characters_that_no_font_has_are_numbers_and_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """They were boxes, and a warning for each: warnings are errors here."""
    monkeypatch.setattr(fonts, "_others", lambda: iter(()))
    fonts._warn.cache_clear()
    source = ["▁一只", "狗", "。", "ab"]
    target = ["犬が", "개", "dog\U000e0020", "！"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = alignment_figure(np.zeros((4, 4)), source, target)
        figure.canvas.draw()
        alignment_image(np.zeros((4, 4)), source, target)
    columns, rows = figure.axes[0].get_xticklabels(), figure.axes[0].get_yticklabels()
    assert [label.get_text() for label in columns] == ["1", "2", "3", "ab"]
    assert [label.get_text() for label in rows] == ["1", "2", "dog", "4"]
    script = "Chinese, Japanese or Korean"
    assert capsys.readouterr().err == (
        f"warning: no installed font has {script} characters: pictures number the tokens with "
        "them. The Noto fonts have most scripts.\n"
    )


def test_an_installed_font_that_has_the_characters_is_found(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A font of formulas stands for one of another script."""
    own = sorted(fonts.characters("STIXGeneral") - fonts.characters(fonts.DEFAULT))
    character = next(character for character in own if character.isalpha())
    monkeypatch.setattr(fonts, "_others", lambda: iter(["no such font", "cmr10", "STIXGeneral"]))
    labels = fonts.drawable(["a", character], [character])
    assert labels == (["a", character], [character], [fonts.DEFAULT, "STIXGeneral"])
    assert capsys.readouterr().err == ""


def test_fonts_of_formulas_and_of_boxes_are_for_no_text() -> None:
    assert not {"Last Resort High-Efficiency", "cmr10", fonts.DEFAULT} & set(fonts._others())


def test_saved_png_holds_the_image_and_no_partial_file_remains(tmp_path: Path) -> None:
    path = tmp_path / "plots" / "epoch 1.png"
    for _ in range(2):  # overwriting too
        save_alignment(path, WEIGHTS, SOURCE, TARGET)
    assert [file.name for file in path.parent.iterdir()] == ["epoch 1.png"]
    assert path.read_bytes().startswith(b"\x89PNG")
    image = (imread(path)[..., :3] * 255).round().astype(np.uint8)
    np.testing.assert_array_equal(image, alignment_image(WEIGHTS, SOURCE, TARGET))


def test_failed_save_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "alignment.png"
    path.write_bytes(b"old")

    def fail(_: Figure, file: Path, **__: object) -> None:
        file.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", fail)
    with pytest.raises(OSError, match="disk full"):
        save_alignment(path, WEIGHTS, SOURCE, TARGET)
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"old"]


def test_image_is_rgb_bytes() -> None:
    image = alignment_image(WEIGHTS.astype(np.float32), SOURCE, TARGET)
    assert image.dtype == np.uint8
    assert image.shape[2] == 3
    assert image.min() == 0
    assert image.max() == 255


def in_a_process(program: str) -> subprocess.CompletedProcess[str]:
    root = Path(__file__).parents[3]
    command = [sys.executable, "-c", program]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)


def test_matplotlib_is_imported_to_draw_and_pyplot_never() -> None:
    program = (
        "import sys, numpy\n"
        "from attention_nmt.drawing import plots\n"
        "assert 'matplotlib' not in sys.modules\n"
        "plots.alignment_image(numpy.eye(1), 'a', 'b')\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    done = in_a_process(program)
    assert done.returncode == 0, done.stderr


def test_without_matplotlib_the_extra_is_named() -> None:
    program = (
        "import sys, numpy\n"
        "sys.modules['matplotlib'] = None\n"
        "from attention_nmt.drawing import plots\n"
        "plots.plain_figure(1, 1)\n"
    )
    done = in_a_process(program)
    assert "ModuleNotFoundError: matplotlib is not installed" in done.stderr
    assert "pip install 'attention-nmt[plots]'" in done.stderr


@pytest.mark.parametrize("draw", [alignment_figure, alignment_image])
def test_wrong_shapes_are_refused(
    draw: Callable[[np.ndarray, list[str], list[str]], object],
) -> None:
    with pytest.raises(
        ValueError, match=r"\(target tokens, source tokens\) = \(3, 4\)\. Received: \(4, 3\)"
    ):
        draw(WEIGHTS.T, SOURCE, TARGET)
    with pytest.raises(
        ValueError, match=r"at least one target and one source token. Received: \(0, 4\)"
    ):
        draw(np.zeros((0, 4)), SOURCE, [])


def test_a_notebook_shows_the_picture_that_a_file_has(tmp_path: Path) -> None:
    """By the method that IPython looks for; pyplot and its backends have no part in it."""
    figure = alignment_figure(WEIGHTS, SOURCE, TARGET)
    shown = tmp_path / "shown.png"
    shown.write_bytes(figure._repr_png_())  # type: ignore[attr-defined]
    save_alignment(tmp_path / "saved.png", WEIGHTS, SOURCE, TARGET)
    np.testing.assert_array_equal(imread(shown), imread(tmp_path / "saved.png"))
