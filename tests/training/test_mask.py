"""Texts with gaps, and the command that writes them."""

import random
from pathlib import Path
from typing import Any

import pytest

from tests.training.corpora import write_folder
from training.gaps import GAP, gapped, with_gaps
from training.mask import main


class Drawn(random.Random):
    """Draws what it is given."""

    def __init__(self, share: float, draws: list[float]) -> None:
        super().__init__(0)
        self.share, self.draws = share, iter(draws)

    def uniform(self, least: float, most: float) -> float:
        assert (least, most) == (0.3, 0.8)
        return self.share

    def random(self) -> float:
        return next(self.draws)


@pytest.mark.parametrize(
    ("draws", "expected"),
    [
        ([0.9, 0.1, 0.2, 0.9, 0.9], "a _ d e"),
        ([0.1, 0.9, 0.4, 0.9, 0.3], "_ b _ d _"),
        ([0.1, 0.1, 0.1, 0.1, 0.1], "_"),
        ([0.5, 0.4, 0.9, 0.9, 0.9], "a _ c d e"),
    ],
)
def test_words_below_the_share_are_gaps_and_neighbours_are_one(
    draws: list[float], expected: str
) -> None:
    assert with_gaps("a b  c d e", Drawn(0.5, draws)) == expected


def test_a_texts_own_mark_is_in_a_gap() -> None:
    assert with_gaps("a _ b c", Drawn(0.5, [0.1, 0.9, 0.9, 0.9])) == "_ b c"
    assert with_gaps("a _ b c", Drawn(0.5, [0.9, 0.9, 0.9, 0.9])) == "a _ b c"


def test_each_text_has_a_gap() -> None:
    draw = random.Random(1)
    assert all(with_gaps("two words", draw).split().count(GAP) == 1 for _ in range(200))
    assert with_gaps("", draw) == ""


def test_half_of_the_words_stay_and_in_their_order() -> None:
    text = " ".join(str(n) for n in range(40))
    shares = []
    for masked, whole in gapped([text] * 500, copies=1, seed=1):
        assert whole == text
        numbers = [int(word) for word in masked.split() if word != GAP]
        assert numbers == sorted(set(numbers))
        assert f"{GAP} {GAP}" not in masked
        shares.append(1 - len(numbers) / 40)

    # Uniform from 0.3 to 0.8: mean 0.55; binomial noise of 0.08 is about each.
    assert sum(shares) / 500 == pytest.approx(0.55, abs=0.03)
    assert sum(share < 0.4 for share in shares) / 500 == pytest.approx(0.2, abs=0.06)
    assert sum(share > 0.7 for share in shares) / 500 == pytest.approx(0.2, abs=0.06)


def test_gaps_are_those_of_the_seed() -> None:
    texts = [f"a b c d e f g {n}" for n in range(20)]
    first, again, other = (list(gapped(texts, 3, seed)) for seed in (1, 1, 2))
    assert first == again != other
    assert [whole for _, whole in first] == [text for text in texts for _ in range(3)]
    assert len({masked for masked, _ in first[:3]}) > 1


def test_the_command_writes_both_splits(tmp_path: Path, capsys: Any) -> None:
    sources = ["A red house.", "A blue car stops.", "A red house.", "Go!"]
    pairs = [(source, f"fr {n}") for n, source in enumerate(sources)]
    corpus = write_folder(tmp_path / "corpus", [*pairs, *[("One more text.", "fr")] * 20])
    given = ["--dataset", str(corpus), "--source", "en", "--target", "fr", "--copies", "2"]
    output = tmp_path / "gaps"
    assert main([*given, "--output", str(output)]) == 0
    assert capsys.readouterr().out == "3 texts, 6 pairs\n"

    names = ["en.train.txt", "en.val.txt", "masked.train.txt", "masked.val.txt"]
    assert sorted(path.name for path in output.iterdir()) == names
    whole = (output / "en.train.txt").read_text().splitlines()
    assert whole == [text for text in (sources[0], sources[1], sources[3]) for _ in range(2)]
    masked = (output / "masked.train.txt").read_text().splitlines()
    assert len(masked) == 6
    assert masked[4:] == [GAP, GAP]
    assert (output / "en.val.txt").read_text().splitlines() == ["One more text."] * 10
    assert all(GAP in line for line in (output / "masked.val.txt").read_text().splitlines())

    assert main([*given, "--output", str(output)]) == 1
    assert "--output must be an empty folder" in capsys.readouterr().err
    assert main([*given, "--output", str(tmp_path / "other"), "--copies", "0"]) == 1
    assert "--copies must be at least 1" in capsys.readouterr().err

    masked_again = ["--dataset", str(output), "--source", "masked", "--target", "en"]
    assert main([*masked_again, "--output", str(tmp_path / "other")]) == 1
    assert "--source must be a language, whose texts have no gaps yet" in capsys.readouterr().err
