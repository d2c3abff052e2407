"""Splits of a folder in shards, compressed and in columns are those of plain files."""

import gzip
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from training import text_folder
from training.corpus.reading import Split
from training.data import Corpus, DataError

LINES = 5000
PAIRS = [(f"{number} red dresses", f"{number} robes rouges") for number in range(LINES)]


def text(side: int, pairs: list[tuple[str, str]] = PAIRS) -> bytes:
    return "".join(pair[side] + "\n" for pair in pairs).encode()


def both(pairs: list[tuple[str, str]] = PAIRS) -> bytes:
    return "".join(f"{source}\t{target}\n" for source, target in pairs).encode()


def shards(folder: Path, compress: Callable[[bytes], bytes], ending: str) -> None:
    for number in range(20):
        pairs = PAIRS[number * 250 : (number + 1) * 250]
        for side, language in enumerate(("en", "fr")):
            name = f"{language}.train-{number:05}-of-00020.txt{ending}"
            (folder / name).write_bytes(compress(text(side, pairs)))


def columns(folder: Path) -> None:
    (folder / "en-fr.train.tsv").write_bytes(both())


def swapped_columns(folder: Path) -> None:
    pairs = [(target, source) for source, target in PAIRS]
    for number in range(2):
        part = both(pairs[number * 2500 : (number + 1) * 2500])
        (folder / f"fr-en.train-{number:05}-of-00002.tsv.gz").write_bytes(gzip.compress(part))


def zst(data: bytes) -> bytes:
    """In two frames, as of files that were put together."""
    half = len(data) // 2
    compressor = zstandard.ZstdCompressor()
    return compressor.compress(data[:half]) + compressor.compress(data[half:])


FORMS: dict[str, Callable[[Path], object]] = {
    "shards": lambda folder: shards(folder, bytes, ""),
    "gzip": lambda folder: shards(folder, gzip.compress, ".gz"),
    "zstandard": lambda folder: shards(folder, zst, ".zst"),
    "columns": columns,
    "swapped columns in compressed shards": swapped_columns,
}


@pytest.mark.parametrize("form", FORMS)
def test_the_pairs_are_those_of_plain_files(form: str, tmp_path: Path) -> None:
    FORMS[form](tmp_path)
    corpus = Corpus(str(tmp_path), "en", "fr")
    read = list(zip(*corpus.texts("train"), strict=True))
    assert sorted(read) == sorted(PAIRS)
    assert list(zip(*corpus.texts("train"), strict=True)) == read
    assert corpus.count("train") == LINES
    assert corpus.reverse().texts("train") == corpus.texts("train")[::-1]
    assert len(corpus.fingerprint("train")) in (1, 2, 40)

    chunks = list(Split(str(tmp_path), ("en", "fr"), "train").chunks())
    assert [pair for chunk in chunks for pair in chunk.pairs()] == PAIRS


def test_pairs_come_from_16_shards_in_turn(tmp_path: Path) -> None:
    """More shards than are open together, the third of them the longest by far."""
    lengths = [1500 if number == 2 else 2 for number in range(20)]
    for number, length in enumerate(lengths):
        for language in ("en", "fr"):
            name = f"{language}.train-{number:05}-of-00020.txt"
            (tmp_path / name).write_text("".join(f"{number} {line}\n" for line in range(length)))
    read = Corpus(str(tmp_path), "en", "fr").texts("train")[0]
    firsts = list(dict.fromkeys(line.split()[0] for line in read[: 15 * 2 + 1024]))
    assert firsts == [str(number) for number in range(16)]
    order = [line.split()[0] for line in read]
    assert order[15 * 2 + 1024 : -4 * 2] == ["2"] * 476
    assert order[-4 * 2 :] == [str(number) for number in range(16, 20) for _ in range(2)]


def test_names_of_splits(tmp_path: Path) -> None:
    for name in (
        "en.train-00000-of-00001.txt.gz",
        "en.val.2.txt",
        "de.dev.txt",
        "en-fr.test.tsv",
        "fr-en.more.tsv.zst",
        "de-fr.other.tsv",
        "en.notes.md",
    ):
        (tmp_path / name).touch()
    assert text_folder.splits(tmp_path, "en") == {"train", "val.2", "test", "more"}


def spoilt(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(content)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda folder: (folder / "en.train-00003-of-00020.txt").unlink(),
            r"expected all 20 shards of en\.train\. Missing: \[3\]",
        ),
        (spoilt("en.train.txt", text(0)), r"expected en\.train in one form\. Received"),
        (spoilt("en.train-00000-of-00003.txt", text(0)), r"expected en\.train in one form"),
        (spoilt("en.train-00003-of-00020.txt.gz", b""), r"expected en\.train in one form"),
        (spoilt("en-fr.train.tsv", both()), r"expected 'train' in one form"),
        (
            spoilt("fr.train-00003-of-00020.txt", text(1)),
            r"en\.train-00003-of-00020\.txt has 250, fr\.train-00003-of-00020\.txt has 5000",
        ),
        (
            spoilt("fr.train-00003-of-00020.txt", b"\xff\n" * 250),
            r"fr\.train-00003-of-00020\.txt, line 1, byte 1: expected UTF-8",
        ),
    ],
)
def test_bad_shards(spoil: Callable[[Path], object], message: str, tmp_path: Path) -> None:
    FORMS["shards"](tmp_path)
    spoil(tmp_path)
    with pytest.raises(DataError, match=message):
        Corpus(str(tmp_path), "en", "fr").pairs("train")
    with pytest.raises(DataError, match=message):
        list(Split(str(tmp_path), ("en", "fr"), "train").chunks())


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("en-fr.train.tsv", b"a\tb\nc\n", r"en-fr\.train\.tsv, line 2: expected two columns.*: 1"),
        ("en-fr.train.tsv", b"a\tb\tc\n", r"line 1: expected two columns.* Received: 3"),
        ("en-fr.train.tsv.gz", b"a\tb\n", r"expected a whole gzip file.*Not a gzipped file"),
        ("en-fr.train.tsv.gz", gzip.compress(both())[:-9], r"expected a whole gzip file"),
        ("en-fr.train.tsv.zst", b"a\tb\n", r"expected a whole Zstandard file"),
        ("en-fr.train.tsv.zst", zst(both())[:-9], r"expected a whole Zstandard file"),
    ],
)
def test_bad_files(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        Corpus(str(tmp_path), "en", "fr").pairs("train")


def test_zstandard_is_an_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "en-fr.train.tsv.zst").write_bytes(zst(both()))
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(ModuleNotFoundError, match=r"attention-nmt\[zstd\]"):
        Corpus(str(tmp_path), "en", "fr").pairs("train")
