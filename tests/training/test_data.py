"""Corpora: text folders, TFDS names, and everything that can be wrong with them."""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

import training.data
from tests.training.corpora import PAIRS, write_folder
from training.alignment.gold import GoldPair, gold_pairs
from training.data import Corpus, DataError, iterate_texts
from training.grammar_en_fr.corpus import generate
from training.grammar_en_fr.phrases import Pair


@pytest.fixture(scope="module")
def bundled(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder where the bundled dataset is prepared with a few pairs of each split."""

    def few(split: str) -> Iterator[Pair]:
        return islice(generate(split), 30)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.grammar_en_fr.builder.generate", few)
        folder = str(tmp_path_factory.mktemp("tfds"))
        training.data.prepared_builder("grammar_en_fr", folder)
    return folder


def test_a_text_folder(tmp_path: Path) -> None:
    corpus = Corpus(str(write_folder(tmp_path)), "en", "fr")
    assert corpus.texts("test") == ([p[0] for p in PAIRS[-10:]], [p[1] for p in PAIRS[-10:]])
    assert corpus.dev_split() == "val"
    assert len(list(corpus.pairs("train"))) == len(PAIRS) - 20
    assert gold_pairs(corpus, "test") is None


@pytest.mark.parametrize("sides", [(0,), (1,), (0, 1)])
def test_texts_are_read_once(sides: tuple[int, ...], tmp_path: Path) -> None:
    pairs = Corpus(str(write_folder(tmp_path)), "en", "fr").pairs("train")
    read: list[bytes] = []

    def note(text: bytes) -> bytes:
        read.append(text)
        return text

    counted = pairs.map(
        lambda source, target: (tf.numpy_function(note, [source], tf.string), target)
    )
    texts = list(iterate_texts(counted, sides))
    assert sorted(texts) == sorted(pair[side] for pair in PAIRS[:-20] for side in sides)
    assert len(read) == len(PAIRS) - 20


def test_gold_links_of_a_folder(tmp_path: Path) -> None:
    write_folder(tmp_path)
    for language, text in (("en", "the red dress\nno\n"), ("fr", "la robe rouge\nnon\n")):
        (tmp_path / f"{language}.test.txt").write_text(text)
    (tmp_path / "align.test.txt").write_text("0-0 1-2 2?1\n\n")
    forth = gold_pairs(Corpus(str(tmp_path), "en", "fr"), "test")
    back = gold_pairs(Corpus(str(tmp_path), "fr", "en"), "test")
    assert forth is not None
    assert back is not None
    english = ["the", "red", "dress"]
    french = ["la", "robe", "rouge"]
    assert forth[0] == GoldPair(
        source_words=english,
        target_words=french,
        links=frozenset({(0, 0), (1, 2)}),
        possible=frozenset({(2, 1)}),
    )
    assert back[0] == GoldPair(
        source_words=french,
        target_words=english,
        links=frozenset({(0, 0), (2, 1)}),
        possible=frozenset({(1, 2)}),
    )
    assert forth[1] == GoldPair(source_words=["no"], target_words=["non"], links=frozenset())


@pytest.mark.parametrize(
    ("links", "message"),
    [
        ("0-0\n", "expected a line for each of 2 pairs. Received: 1."),
        (
            "0-0\n0-1\n",
            "line 2: expected links i-j or i.j between 1 source and 1 target words. .*'0-1'",
        ),
        ("0_0\n0-0\n", "line 1: .*Received: '0_0'"),
    ],
)
def test_bad_gold_links_of_a_folder(links: str, message: str, tmp_path: Path) -> None:
    for language in ("en", "fr"):
        (tmp_path / f"{language}.test.txt").write_text("oui\nnon\n")
    (tmp_path / "align.test.txt").write_text(links)
    with pytest.raises(DataError, match=message):
        gold_pairs(Corpus(str(tmp_path), "en", "fr"), "test")


def test_gold_links_that_are_no_text(tmp_path: Path) -> None:
    for language in ("en", "fr"):
        (tmp_path / f"{language}.test.txt").write_text("oui\n")
    (tmp_path / "align.test.txt").write_bytes(b"0-0 \xff\n")
    with pytest.raises(DataError, match=r"align\.test\.txt, line 1, byte 5: expected UTF-8"):
        gold_pairs(Corpus(str(tmp_path), "en", "fr"), "test")


def test_a_version_that_there_is_none_of() -> None:
    with pytest.raises(DataError, match=r"grammar_en_fr:9\.9\.9: .*9\.9\.9"):
        Corpus("grammar_en_fr:9.9.9", "en", "fr").pairs("train")


def test_only_newlines_end_a_line(tmp_path: Path) -> None:
    write_folder(tmp_path, [("a\u2028b\u0085c", "d\u000be")] * 30)
    assert Corpus(str(tmp_path), "en", "fr").texts("val")[0][0] == "a\u2028b\u0085c"


def test_files_of_windows_and_a_carriage_return_within_a_line(tmp_path: Path) -> None:
    """As all other readers have it: `Annalikes` is what TensorFlow's own would read."""
    source = b"\xef\xbb\xbfone\r\nAnna\rlikes\r\nthree\r\n"
    (tmp_path / "en.val.txt").write_bytes(source)
    (tmp_path / "fr.val.txt").write_bytes("un\nd\u2028eux\r\r\ntrois\r".encode())
    corpus = Corpus(str(tmp_path), "en", "fr")
    expected = (["one", "Anna\rlikes", "three"], ["un", "d\u2028eux\r", "trois"])
    assert corpus.texts("val") == expected
    read = list(corpus.pairs("val").as_numpy_iterator())
    assert [source.decode() for source, _ in read] == expected[0]


def test_pairs_are_read_again_in_each_epoch_and_in_part(tmp_path: Path) -> None:
    """More than one chunk of lines; a reader that stops early leaves no file open."""
    pairs = [(f"{number}", f"n{number}") for number in range(2500)]
    dataset = Corpus(str(write_folder(tmp_path, pairs)), "en", "fr").pairs("train")
    opened = len(list(Path("/proc/self/fd").iterdir()))
    for count in (5, 2480, 1025):
        read = [source.decode() for source, _ in dataset.take(count).as_numpy_iterator()]
        assert read == [str(number) for number in range(count)]
    assert len(list(Path("/proc/self/fd").iterdir())) == opened


def spoil_utf16(folder: Path) -> None:
    (folder / "en.train.txt").write_bytes("fine\n".encode("utf-16"))


def spoil_counts(folder: Path) -> None:
    with (folder / "fr.train.txt").open("a") as file:
        file.write("de trop\n")


def spoil_encoding(folder: Path) -> None:
    (folder / "en.train.txt").write_bytes(b"fine\nnot \xff fine\n")


BAD_FOLDERS: list[tuple[str, Callable[[Path], object], str]] = [
    ("counts", spoil_counts, "en.train.txt has 412, fr.train.txt has 413"),
    ("encoding", spoil_encoding, "en.train.txt, line 2, byte 5: expected UTF-8. Received: 0xff"),
    (
        "UTF-16",
        spoil_utf16,
        "en.train.txt, line 1, byte 1: expected UTF-8. Received: 0xff, as of UTF-16",
    ),
    ("language", lambda f: (f / "fr.train.txt").unlink(), "expected a file fr.train.txt"),
    ("name", lambda f: (f / "fr.train.txt").rename(f / "train.fr"), "'train.fr'"),
    (
        "empty",
        lambda f: [(f / f"{x}.train.txt").write_text("") for x in ("en", "fr")],
        "'train' is empty",
    ),
]


@pytest.mark.parametrize(
    ("spoil", "message"), [b[1:] for b in BAD_FOLDERS], ids=[b[0] for b in BAD_FOLDERS]
)
def test_a_bad_folder(spoil: Callable[[Path], object], message: str, tmp_path: Path) -> None:
    spoil(write_folder(tmp_path))
    with pytest.raises(DataError) as raised:
        Corpus(str(tmp_path), "en", "fr").pairs("train")
    assert message in str(raised.value)


def test_fingerprints_tell_texts_apart(tmp_path: Path, bundled: str) -> None:
    corpus = Corpus(str(write_folder(tmp_path)), "en", "fr")
    before = corpus.fingerprint("train")
    content = (tmp_path / "en.train.txt").read_bytes()
    assert before["en.train.txt"] == hashlib.sha256(content).hexdigest()
    assert before != corpus.fingerprint("val")
    (tmp_path / "fr.train.txt").write_text("x\n")
    after = corpus.fingerprint("train")
    assert [name for name in before if before[name] != after[name]] == ["fr.train.txt"]
    found = Corpus("grammar_en_fr", "en", "fr", bundled).fingerprint("train[:10]")
    assert re.fullmatch(r"grammar_en_fr/\d+\.\d+\.\d+", found["version"])


def test_a_folder_without_a_dev_split(tmp_path: Path) -> None:
    write_folder(tmp_path)
    (tmp_path / "en.val.txt").unlink()
    with pytest.raises(
        DataError, match=r"expected a split called one of .*Received: \['test', 'train'\]"
    ):
        Corpus(str(tmp_path), "en", "fr").dev_split()


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("ted_hrlr_translat/pt_to_en", "ted_hrlr_translate"),
        ("ted_hrlr_translate/pt_to_e", "ted_hrlr_translate/pt_to_en"),
        ("zzzzzz/qqqq", "none"),
    ],
)
def test_an_unknown_name_comes_with_the_nearest(name: str, near: str) -> None:
    with pytest.raises(DataError, match=near):
        Corpus(name, "pt", "en").pairs("train")


def test_a_dataset_to_download_without_a_network(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # A proxy that refuses at once stands for every way of having no network.
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    began = time.monotonic()
    with pytest.raises(DataError, match=r"is not prepared in .* and there is no network"):
        Corpus("ted_hrlr_translate/pt_to_en", "pt", "en", str(tmp_path)).pairs("train")
    assert time.monotonic() - began < 10


def test_a_download_that_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(*_: object, **__: object) -> None:
        raise training.data.DownloadError("HTTP 404")

    monkeypatch.setattr(training.data, "_online", lambda: True)
    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", fail)
    with pytest.raises(
        DataError, match=r"ted_hrlr_translate/pt_to_en could not be prepared in .*HTTP 404"
    ):
        Corpus("ted_hrlr_translate/pt_to_en", "pt", "en", str(tmp_path)).pairs("train")


def test_two_processes_that_prepare_one_dataset(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The slower one takes what the faster one has prepared."""
    folder = str(tmp_path)
    prepare = tfds.core.GeneratorBasedBuilder._download_and_prepare
    begun: list[str] = []

    def overtaken(builder: Any, *arguments: Any, **options: Any) -> None:
        begun.append(builder.name)
        prepare(builder, *arguments, **options)
        if len(begun) == 1:
            training.data.prepared_builder("grammar_en_fr", folder)

    monkeypatch.setattr(tfds.core.GeneratorBasedBuilder, "_download_and_prepare", overtaken)
    monkeypatch.setattr(
        "training.grammar_en_fr.builder.generate", lambda split: islice(generate(split), 30)
    )
    assert training.data.prepared_builder("grammar_en_fr", folder).is_prepared()
    assert len(begun) == 2
    assert len(Corpus("grammar_en_fr", "en", "fr", folder).texts("test")[0]) == 30


def test_a_network_that_never_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training.data, "_reaches", lambda _: threading.Event().wait(30) or True)
    monkeypatch.setattr(training.data, "NETWORK_TIMEOUT_S", 0.5)
    began = time.monotonic()
    assert not training.data._online()
    assert time.monotonic() - began < 10


def test_a_tfds_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training.data, "_online", lambda: True)
    with tfds.testing.mock_data(num_examples=7):
        corpus = Corpus("ted_hrlr_translate/pt_to_en", "pt", "en")
        sources, targets = corpus.texts("train")
        assert len(sources) == len(targets) == 7
        with pytest.raises(DataError, match=r"expected one of the languages .*Received: 'xx'"):
            Corpus("ted_hrlr_translate/pt_to_en", "pt", "xx").pairs("train")


def test_the_bundled_dataset_has_gold_links_in_both_directions(bundled: str) -> None:
    corpus = Corpus("grammar_en_fr", "en", "fr", bundled)
    forth = gold_pairs(corpus, "validation")
    back = gold_pairs(corpus.reverse(), "validation")
    assert forth is not None
    assert back is not None
    assert forth[0].source_words == back[0].target_words
    assert forth[0].links == {(s, t) for t, s in back[0].links}
    texts = corpus.texts("validation")[0]
    assert texts[0].replace(" ", "") == "".join(forth[0].source_words)
