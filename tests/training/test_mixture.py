"""Several corpora that are trained on together."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from attention_nmt.run_folder import RunFolder
from tests.training.corpora import PAIRS, TINY_MODEL, write_folder
from training import train
from training.data import Corpus, iterate_texts
from training.mixture import Mixture, spread


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """412 pairs, and 20 others."""
    others = [(f"{number} red", f"{number} rouge") for number in range(40)]
    return write_folder(tmp_path / "large"), write_folder(tmp_path / "small", others)


def test_parts_are_spread_evenly() -> None:
    assert list(spread([4, 2])) == [0, 1, 0, 0, 1, 0]
    order = list(spread([1000, 3, 100]))
    assert Counter(order) == {0: 1000, 1: 3, 2: 100}
    assert [round(i, -1) for i in np.flatnonzero(np.array(order) == 1)] == [180, 550, 920]
    assert np.diff(np.flatnonzero(np.array(order) == 2)).max() <= 13


def test_an_epoch_reads_each_corpus_as_often_as_its_weight_says(
    folders: tuple[Path, Path],
) -> None:
    large, small = folders
    mixture = Mixture.of(f"{large}, {small}=3", "en", "fr")
    read = list(iterate_texts(mixture.pairs("train"), [0]))
    expected = Counter(source for source, _ in PAIRS[:-20])
    expected.update({f"{number} red": 3 for number in range(20)})
    assert Counter(read) == expected
    assert list(iterate_texts(mixture.pairs("train"), [0])) == read

    places = [index for index, source in enumerate(read) if source.endswith(" red")]
    assert np.diff(places).max() <= 9
    assert mixture.first == Corpus(str(large), "en", "fr")


def test_texts_and_weights_are_in_the_fingerprint(folders: tuple[Path, Path]) -> None:
    large, small = folders
    one = Mixture.of(f"{large},{small}", "en", "fr").fingerprint("train")
    assert one == Mixture.of(f"{large}, {small}=1", "en", "fr").fingerprint("train")
    assert one != Mixture.of(f"{large},{small}=2", "en", "fr").fingerprint("train")
    assert one != Mixture.of(f"{small},{large}", "en", "fr").fingerprint("train")
    alone = Mixture.of(str(large), "en", "fr").fingerprint("train")
    assert alone == Corpus(str(large), "en", "fr").fingerprint("train")
    assert len(one) == 6


@pytest.mark.parametrize("dataset", ["a,", "a=0", "a=two,b", "a=", "", "a=1.5"])
def test_what_is_no_mixture(dataset: str) -> None:
    with pytest.raises(ValueError, match="`dataset` must be names with commas between"):
        Mixture.of(dataset, "en", "fr")


def test_a_name_twice() -> None:
    with pytest.raises(ValueError, match="`dataset` must be each name once"):
        Mixture.of("a,b,a=2", "en", "fr")


def test_a_folder_with_a_comma_in_its_name(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "en,fr=2")
    assert Mixture.of(str(folder), "en", "fr").first.dataset == str(folder)


def test_a_training_on_both(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It evaluates on the first, goes on with the same mixture, and with no other one."""
    large, small = folders
    run = tmp_path / "run"
    flags = [*TINY_MODEL, f"--run-dir={run}", "--warmup-steps=1", "--evaluate-steps=2"]

    def trained(dataset: str, steps: int) -> int:
        return train.main([*flags, f"--dataset={dataset}", f"--steps={steps}"])

    assert trained(f"{large},{small}=2", 2) == 0
    printed = capsys.readouterr().out
    assert f"{large}, train: 412 pairs" in printed
    assert f"{small}, train: 20 pairs" in printed
    assert "train: 452 pairs; dropped" in printed
    assert Corpus.of_run(run).dataset == str(large)

    assert trained(f"{large},{small}=2", 4) == 0
    assert trained(f"{large},{small}=3", 6) == 1
    assert "Different: dataset:" in capsys.readouterr().err
    assert RunFolder(run).checkpoint.is_file()
