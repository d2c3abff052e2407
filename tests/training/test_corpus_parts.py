"""Parts of the look at a corpus, against counts by hand and in Python; its time and memory."""

from __future__ import annotations

import itertools
import random
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.training.corpora import PAIRS, TINY_MODEL, write_folder
from training.corpus import reading
from training.corpus.characters import Kind, Lines, kind_of, kinds
from training.corpus.command import main as data
from training.corpus.dropping import Sample
from training.corpus.inspection import inspect
from training.corpus.keys import Keys, Overlap
from training.corpus.languages import known_scripts
from training.corpus.reading import Chunk, Line, Split
from training.corpus.sides import Pairs
from training.corpus.tokens import Hasher, line_keys, shared, word_hash, words
from training.train import main as train

TEXTS = ["The dress is red.", "", "la robe, la ROBE", "2,50 €: l'été", "我爱 you", "x" * 300]


def lines_of(texts: list[str]) -> Lines:
    return Lines.of("".join(f"{text}\n" for text in texts))


def test_kinds_of_characters() -> None:
    cases = {
        "a": kind_of("Latin"),
        "ß": kind_of("Latin"),
        "ａ": kind_of("Latin"),
        "ж": kind_of("Cyrillic"),
        "ｶ": kind_of("Katakana"),
        "ー": kind_of("Katakana"),
        "我": kind_of("Han"),
        "𠀀": kind_of("Han"),
        "ก": kind_of("Thai"),
        "\u0301": Kind.MARK,
        "\u200c": Kind.MARK,
        "7": Kind.DIGIT,
        "٣": Kind.DIGIT,
        "\u3000": Kind.SPACE,
        "\t": Kind.SPACE,
        ".": Kind.OTHER,
        "😀": Kind.OTHER,
        "\r": Kind.CONTROL,
        "\x85": Kind.CONTROL,
        "\ufffd": Kind.CONTROL,
        "\ufeff": Kind.CONTROL,
        "\ue000": Kind.CONTROL,
    }
    assert {text: kinds()[ord(text)] for text in cases} == cases


def test_scripts_of_languages() -> None:
    assert known_scripts("pt-BR") == {"Latin"}
    assert known_scripts("ja") == {"Han", "Hiragana", "Katakana"}
    assert known_scripts("sr") == set()


def test_counts_of_characters_in_lines() -> None:
    lines = lines_of(TEXTS)
    assert lines.lengths().tolist() == [len(text) for text in TEXTS]
    for character in "e x":
        marked = lines.codes == ord(character)
        assert lines.totals(marked).tolist() == [text.count(character) for text in TEXTS]


def test_words_and_those_that_both_sides_have() -> None:
    lines = lines_of(TEXTS)
    tokens = words(lines, Hasher(lines.codes))
    assert tokens.counts.tolist() == [4, 0, 4, 4, 3, 1]
    first = [int(number) for number in tokens.hashes[:4]]
    assert first == [word_hash(word) for word in ("The", "dress", "is", "red")]
    assert len(set(tokens.hashes.tolist())) == 15  # "la" stands there twice

    others = lines_of(["red is The", "red", "robe", "l été 50", "爱我", ""])
    assert shared(tokens, words(others, Hasher(others.codes))).tolist() == [3, 0, 1, 3, 2, 0]


def test_lines_have_equal_keys_where_they_are_equal() -> None:
    rng = random.Random(4)
    texts = ["".join(rng.choices("ab", k=rng.randrange(12))) for _ in range(2000)]
    lines = lines_of(texts)
    keys = line_keys(lines, Hasher(lines.codes)).tolist()
    assert len(set(keys)) == len(set(texts)) < len(texts)
    assert len(set(zip(keys, texts, strict=True))) == len(set(texts))


def test_repeated_lines_in_bounded_memory() -> None:
    """Of more lines than are remembered, the number of repeated ones is an estimate."""
    rng = np.random.default_rng(2)
    distinct = rng.integers(0, 2**63, 20_000).astype(np.uint64) * np.uint64(2)
    keys = np.concatenate([distinct, distinct[:10_000], np.repeat(distinct[:1], 9_000)])

    every = Keys()
    some = Keys(capacity=4000)
    for first in range(0, len(keys), 1000):
        every.add(keys[first : first + 1000], first + 1)
        some.add(keys[first : first + 1000], first + 1)

    found = every.repeated(3)
    assert (found.lines, found.most, found.first) == (19_000, 9_000, 30_001)
    assert found.examples == (20_001, 20_002, 20_003)
    assert every.exact

    assert not some.exact
    assert some._size <= 4000
    assert some.repeated(3).most == 9_000
    assert some.repeated(3).lines == pytest.approx(19_000, rel=0.6)  # 9,000 of them are one line


def test_lines_of_one_split_in_another() -> None:
    overlap = Overlap(np.array([5, 7, 5, 9], np.uint64))
    overlap.look(np.array([1, 2], np.uint64))
    overlap.look(np.array([5, 9], np.uint64))
    assert (overlap.size, overlap.count, overlap.examples(2)) == (4, 3, (1, 3))


def test_chunks_are_whole_blocks_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A chunk ends after some lines, or after some bytes."""
    pairs = [(f"line {number}", "x" * (number % 50)) for number in range(1000)]
    for side, language in enumerate(("en", "fr")):
        text = "".join(f" {pair[side]}\r\n" for pair in pairs)
        (tmp_path / f"{language}.train.txt").write_bytes(text.encode())

    monkeypatch.setattr(reading, "_CHUNK_BYTES", 9_000)
    split = Split(str(tmp_path), ("en", "fr"), "train")
    chunks = list(split.chunks())
    assert [*itertools.chain.from_iterable(chunk.pairs() for chunk in chunks)] == pairs
    sizes = [len(list(chunk.pairs())) for chunk in chunks]
    assert len(sizes) > 2
    assert all(size % reading.BLOCK == 0 for size in sizes[:-1])
    assert split.lines == (1000, 1000)


def test_a_sample_is_the_same_each_time() -> None:
    sources = [Line(b"source %d" % number) for number in range(500)]
    chunk = Chunk.of(1, sources, [Line(b"target")] * 500)
    samples = [Sample(2000), Sample(2000)]
    for sample in samples:
        sample.add(chunk)
    assert samples[0].pairs() == samples[1].pairs()
    assert sum(len(s) + len(t) for s, t in samples[0].pairs()) <= 2000
    assert 20 < len(samples[0].pairs()) < 130
    assert samples[0].seen == 500


@pytest.mark.parametrize("text", [b"fine\nnot \xff fine\n", "UTF-16\n".encode("utf-16-le")])
def test_what_is_no_text_is_refused(
    text: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_folder(tmp_path)
    (tmp_path / "en.train.txt").write_bytes(text)
    assert data(["--dataset", str(tmp_path)]) == 1
    assert "en.train.txt, line " in capsys.readouterr().err


def many(folder: Path, count: int) -> Path:
    """A corpus of a number of distinct pairs."""
    rng = random.Random(5)
    vocabulary = [f"w{number:x}" for number in range(5000)]
    lines = [" ".join(rng.choices(vocabulary, k=rng.randrange(3, 15))) for _ in range(count)]
    folder.mkdir(exist_ok=True)
    for language in ("en", "fr"):
        (folder / f"{language}.train.txt").write_text("".join(f"{language} {x}\n" for x in lines))
    return folder


def test_the_time_of_many_pairs(tmp_path: Path) -> None:
    """500,000 pairs take some seconds; this is a tenth of them, and a slow machine."""
    folder = many(tmp_path, 50_000)
    began = time.process_time()
    inspect([Split(str(folder), ("en", "fr"), "train")])
    assert time.process_time() - began < 10


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="it reads the peak from /proc")
def test_the_memory_does_not_grow_with_the_pairs(tmp_path: Path) -> None:
    """But for 48 bytes a pair, up to some millions of pairs."""
    script = (
        "import re, sys\n"
        "from training.corpus.inspection import inspect\n"
        "from training.corpus.reading import Split\n"
        "inspect([Split(sys.argv[1], ('en', 'fr'), 'train')])\n"
        "print(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1])"
    )
    peaks = []
    for count in (20_000, 400_000):
        folder = many(tmp_path / str(count), count)
        done = subprocess.run(
            [sys.executable, "-c", script, str(folder)], capture_output=True, text=True, check=True
        )
        peaks.append(int(done.stdout) * 1024)
    assert peaks[1] - peaks[0] < 100 * 380_000


def test_a_line_of_megabytes_costs_nothing(tmp_path: Path) -> None:
    """It took minutes to train on one; the others are trained on, and it is said."""
    line = "dress " * 170_000
    pairs = [*PAIRS[:-20], (line, line), *PAIRS[-20:]]
    began = time.process_time()
    chunk = Split(str(write_folder(tmp_path, pairs)), ("en", "fr"), "train")
    measured = [Pairs.of(one) for one in chunk.chunks()]
    assert max(int(pairs.longer.max()) for pairs in measured) == len(line.strip())
    assert max(one.source.spaced_words.max() for one in measured) < reading.LONGEST
    assert time.process_time() - began < 5


def test_a_training_warns_once_and_trains_on_the_rest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line of a megabyte, and most pairs too long: each is one line on standard error."""
    line = "dress " * 170_000
    pairs = [*PAIRS[:200], (line, PAIRS[0][1]), *PAIRS[200:]]
    folder = write_folder(tmp_path / "corpus", pairs)
    flags = [*TINY_MODEL, "--maximum-length=20", "--steps=2", "--warmup-steps=1", "--quiet"]
    arguments = ["--dataset", str(folder), "--run-dir", str(tmp_path / "run"), *flags]

    began = time.monotonic()
    assert train(arguments) == 0
    assert time.monotonic() - began < 120
    said = capsys.readouterr().err.splitlines()
    warned = [text for text in said if text.startswith("warning: ")]
    assert warned[0] == (
        "warning: train: pairs that have a line over 4,000 characters: 1 (0.24 %), lines 201"
    )
    command = f"attention-nmt data --dataset {folder} --source en --target fr"
    assert f"`{command}` says more, and `--clean` leaves out faults" in warned[1]
    assert re.match(r"warning: train: \d\d % of the pairs are dropped: 0 ", warned[2])
    assert len(warned) == 3

    assert train(arguments) == 0
    assert "4,000 characters" not in capsys.readouterr().err
