"""Faults of a corpus, each made in a good one: they are found, and nothing else is."""

from __future__ import annotations

import itertools
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from training.corpus.cleaning import clean, summary
from training.corpus.command import main
from training.corpus.faults import Fault
from training.corpus.inspection import inspect
from training.corpus.reading import Split
from training.corpus.splits import every_split, look_at_start
from training.grammar_en_fr.sampler import Sampler
from training.grammar_en_fr.sentences import text
from training.presets import TrainConfig

Pairs = list[tuple[str, str]]

TRAIN = 3000
DEV = 200


@pytest.fixture(scope="module")
def good() -> Pairs:
    """Distinct English sentences with French ones."""
    sampler = Sampler(random.Random(7))
    found: dict[str, str] = {}
    while len(found) < TRAIN + 2 * DEV:
        pair = text(sampler).realize()
        found[pair.en] = pair.fr
    return list(found.items())


def write(
    folder: Path, train: Pairs, good: Pairs, languages: tuple[str, str] = ("en", "fr")
) -> Path:
    """Writes a corpus whose dev and test split are those of the good one."""
    folder.mkdir(exist_ok=True)
    splits = {"train": train, "val": good[TRAIN : TRAIN + DEV], "test": good[TRAIN + DEV :]}
    for split, pairs in splits.items():
        for side, language in enumerate(languages):
            lines = "".join(f"{pair[side]}\n" for pair in pairs)
            (folder / f"{language}.{split}.txt").write_text(lines, encoding="utf-8")
    return folder


def warnings(folder: Path, source: str = "en", target: str = "fr") -> list[str]:
    """The warnings at the start of a training."""
    config = TrainConfig(dataset=str(folder), source=source, target=target)
    return list(look_at_start(config, "val").warnings)


def sides(pairs: Pairs) -> tuple[list[str], list[str]]:
    return [source for source, _ in pairs], [target for _, target in pairs]


def late(pairs: Pairs, first: int = 0, *, lines: int = 1) -> Pairs:
    """From a pair on, each target stands some lines below its source; above, if less than 0."""
    sources, targets = sides(pairs)
    moved = targets[:first] + targets[-lines:] + targets[first:-lines]
    if lines < 0:
        moved = targets[-lines:] + targets[:-lines]
    return list(zip(sources, moved, strict=True))


def swapped(pairs: Pairs) -> Pairs:
    return [(target, source) for source, target in pairs]


def each(pairs: Pairs, count: int, change: Callable[[str, str], tuple[str, str]]) -> Pairs:
    """The pairs with every `count`-th one changed."""
    return [change(*pair) if number % count == 0 else pair for number, pair in enumerate(pairs, 1)]


def shuffled(pairs: Pairs) -> Pairs:
    sources, targets = sides(pairs)
    random.Random(3).shuffle(targets)
    return list(zip(sources, targets, strict=True))


LONG = (200, 400, 300)
"""The number of times that a sentence stands in some lines: the worst ones are named first."""

CYRILLIC = str.maketrans("abeiou", "абеиоу") | {ord(c): "ж" for c in "cdfghjklmnpqrstvwxyz"}

FAULTS: dict[str, tuple[Callable[[Pairs], Pairs], str]] = {
    "misaligned by one line": (
        late,
        "train: the targets of lines 1 to 3,000 stand 1 line below their sources",
    ),
    "misaligned by three lines, the other way": (
        lambda pairs: late(pairs, lines=-3),
        "train: the targets of lines 1 to 3,000 stand 3 lines above their sources",
    ),
    "misaligned from the middle on": (
        lambda pairs: late(pairs, 1536),
        "train: the targets of lines 1,537 to 3,000 stand 1 line below their sources",
    ),
    "a shuffled side": (
        shuffled,
        "train: the sides of lines 1 to 3,000 have nothing to do with each other",
    ),
    "a shuffled stretch": (
        lambda pairs: pairs[:1024] + shuffled(pairs[1024:2048]) + pairs[2048:],
        "train: the sides of lines 1,025 to 2,048 have nothing to do with each other",
    ),
    "sides swapped": (
        swapped,
        "train: the sides look swapped: en is fr, fr is en",
    ),
    "some pairs swapped": (
        lambda pairs: pairs[:2000] + swapped(pairs[2000:2400]) + pairs[2400:],
        "pairs that look swapped, each side in the other's language: 3",
    ),
    "every line three times": (
        lambda pairs: [*itertools.chain(*zip(pairs, pairs, pairs, strict=True))],
        "train: pairs that stand there before: 6,000 (67 %), lines 2, 3, 5, 6, 8",
    ),
    "all targets identical": (
        lambda pairs: [(source, pairs[0][1]) for source, _ in pairs],
        "train: 100 % of the targets are the same line, that of line 1",
    ),
    "all sources identical": (
        lambda pairs: [(pairs[0][0], target) for _, target in pairs],
        "train: 100 % of the sources are the same line, that of line 1",
    ),
    "targets are copies": (
        lambda pairs: each(pairs, 10, lambda source, _: (source, source)),
        "train: pairs that have a target that is a copy of the source: 300 (10 %), lines",
    ),
    "targets that were not translated": (
        lambda pairs: each(pairs, 10, lambda source, _: (source, f"{source} It is that.")),
        "look as if the target were in the source's language: ",
    ),
    "sources that were not translated": (
        lambda pairs: each(pairs, 10, lambda _, target: (f"{target} Oui.", target)),
        "look as if the source were in the target's language: ",
    ),
    "another script": (
        lambda pairs: each(pairs, 50, lambda s, t: (s.lower().translate(CYRILLIC), t)),
        "train: pairs that are written in another script than the rest: 60 (2 %), lines",
    ),
    "control characters": (
        lambda pairs: each(pairs, 50, lambda source, target: (f"{source}\x07", target)),
        "train: pairs that hold control characters or damaged ones: 60 (2 %), lines 50, 100",
    ),
    "a carriage return in a line": (
        lambda pairs: each(pairs, 50, lambda s, t: (s.replace(" ", "\r", 1), t)),
        "hold control characters or damaged ones: 60 (2 %), lines 50, 100, 150, 200, 250",
    ),
    "damaged characters": (
        lambda pairs: each(pairs, 50, lambda source, target: (source, f"{target}\ufffd")),
        "train: pairs that hold control characters or damaged ones: 60 (2 %), lines",
    ),
    "UTF-8 read as Latin-1": (
        lambda pairs: each(pairs, 2, lambda s, t: (s, t.encode().decode("latin-1"))),
        "look like UTF-8 that was read as Latin-1: ",
    ),
    "HTML tags": (
        lambda pairs: each(pairs, 50, lambda source, target: (f"<b>{source}</b>", target)),
        "train: pairs that hold HTML tags: 60 (2 %), lines 50, 100, 150, 200, 250",
    ),
    "HTML entities": (
        lambda pairs: each(pairs, 50, lambda source, target: (source, f"{target} &nbsp;&#39;")),
        "train: pairs that hold HTML entities such as &amp;: 60 (2 %), lines 50, ",
    ),
    "lines over 4,000 characters": (
        lambda pairs: [*pairs[:999], *((" ".join([pairs[0][0]] * n), "Oui.") for n in LONG)],
        "train: pairs that have a line over 4,000 characters: 3 (0.3 %), lines 1001, 1002, 1000",
    ),
    "a NUL character": (
        lambda pairs: [*pairs[:9], (f"{pairs[9][0]}\0", pairs[9][1]), *pairs[10:]],
        "train: pairs that hold a NUL character, which a training refuses: 1 (0.033 %), lines 10",
    ),
    "empty lines": (
        lambda pairs: each(pairs, 50, lambda source, _: (source, " ")),
        "train: pairs that have an empty side: 60 (2 %), lines 50, 100, 150, 200, 250",
    ),
    "sides of different lengths": (
        lambda pairs: each(pairs, 20, lambda source, target: (source, target * 6)),
        "have sides of very different lengths: ",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_warned_of_in_one_line(name: str, good: Pairs, tmp_path: Path) -> None:
    spoil, expected = FAULTS[name]
    found = warnings(write(tmp_path, spoil(good[:TRAIN]), good))
    assert any(expected in line for line in found), found
    assert all("\n" not in line for line in found)


def test_a_good_corpus_raises_no_alarm(good: Pairs, tmp_path: Path) -> None:
    assert warnings(write(tmp_path, good[:TRAIN], good)) == []


@pytest.mark.parametrize("pairs", [1, 2, 30, 129])
def test_a_small_corpus_raises_no_alarm(pairs: int, good: Pairs, tmp_path: Path) -> None:
    assert warnings(write(tmp_path, good[:pairs], good)) == []


def test_lines_in_the_order_of_their_lengths_raise_no_alarm(good: Pairs, tmp_path: Path) -> None:
    """Their neighbours fit nearly as well as their own; if they are out of step, it is seen."""
    train = sorted(good[:TRAIN], key=lambda pair: len(pair[0]))
    assert warnings(write(tmp_path, train, good)) == []
    (line,) = warnings(write(tmp_path, late(train), good))
    assert "stand 1 line below their sources" in line


def test_a_file_that_loses_a_line_again_and_again(good: Pairs, tmp_path: Path) -> None:
    """Beyond some lines nothing fits, which is found beside what is out of step by a few."""
    sources, targets = sides(good[:TRAIN])
    lost = [target for number, target in enumerate(targets) if (number + 1) % 256]
    train = list(zip(sources, lost, strict=False))
    found = warnings(write(tmp_path / "corpus", train, good))
    unrelated = "train: the sides of lines 1,537 to 2,989 have nothing to do with each other"
    assert f"{unrelated}, and 1,024 pairs elsewhere do not fit" in found

    cleaned(tmp_path / "corpus", tmp_path / "clean")
    kept = (tmp_path / "clean/en.train.txt").read_text().splitlines()
    right = dict(good)
    texts = (tmp_path / "clean/fr.train.txt").read_text().splitlines()
    wrong = [source for source, text in zip(kept, texts, strict=True) if right[source] != text]
    assert len(wrong) < 0.02 * TRAIN


def test_names_in_latin_letters_are_in_no_other_script(tmp_path: Path) -> None:
    """A word of Chinese has two letters, and a name many."""
    chinese = ["打开 Microsoft Word 文档", "使用 TensorFlow 训练模型", "iPhone 15 Pro Max 发布"]
    russian = ["Откройте файл в Microsoft Word", "Учебник по TensorFlow и Keras", "Купить iPhone"]
    for language, lines in (("zh", chinese), ("ru", russian)):
        folder = tmp_path / language
        folder.mkdir()
        for side in ("en", language):
            given = ["a line of words"] * 3 if side == "en" else lines
            (folder / f"{side}.train.txt").write_text("\n".join(given), encoding="utf-8")
        (inspection,) = inspect([Split(str(folder), ("en", language), "train")]).inspections
        assert inspection.worst[Fault.SCRIPT].pairs == 0


def test_sides_in_one_language_are_not_called_swapped(tmp_path: Path) -> None:
    """Paraphrases are as like each other side by side as crosswise."""
    rng = random.Random(2)
    words = ["the", "red", "dress", "is", "not", "that", "of", "my", "old", "friend", "in", "a"]
    for split, count in (("train", 400), ("val", 40), ("test", 40)):
        for language in ("xx", "yy"):
            lines = [" ".join(rng.choices(words, k=8)) for _ in range(count)]
            (tmp_path / f"{language}.{split}.txt").write_text("\n".join(lines))
    splits = every_split(TrainConfig(dataset=str(tmp_path), source="xx", target="yy"))
    assert [report.swapped_with for report in inspect(splits).reports()] == [(), (), ()]


def test_a_file_whose_name_has_more_points_is_a_split(good: Pairs, tmp_path: Path) -> None:
    folder = write(tmp_path, good[:300], good)
    for language in ("en", "fr"):
        (folder / f"{language}.newstest.2014.txt").write_text("The cat.\n")
    splits = every_split(TrainConfig(dataset=str(folder)))
    assert [split.name for split in splits] == ["newstest.2014", "test", "val", "train"]


def test_an_empty_split_is_said_to_be_one(good: Pairs, tmp_path: Path) -> None:
    folder = write(tmp_path, good[:300], good)
    for language in ("en", "fr"):
        (folder / f"{language}.val.txt").write_text("")
    assert warnings(folder) == ["val: no pairs"]


def test_only_the_faults_that_were_made_are_found(good: Pairs, tmp_path: Path) -> None:
    spoil, expected = FAULTS["HTML tags"]
    assert warnings(write(tmp_path, spoil(good[:TRAIN]), good)) == [expected]
    spoil, expected = FAULTS["another script"]
    (line,) = warnings(write(tmp_path, spoil(good[:TRAIN]), good))
    assert expected in line


def test_dev_pairs_that_are_trained_on(good: Pairs, tmp_path: Path) -> None:
    train = good[: TRAIN - 100] + good[TRAIN : TRAIN + 100]
    (line,) = warnings(write(tmp_path, train, good))
    assert line == "val: pairs that stand in train, too: 100 (50 %), lines 1, 2, 3, 4, 5"


def test_a_dev_split_whose_sides_are_swapped(good: Pairs, tmp_path: Path) -> None:
    """Languages without a list of common words, too: they are compared with the other split."""
    folder = write(tmp_path, good[:TRAIN], good, ("xx", "yy"))
    (folder / "xx.val.txt").rename(folder / "kept")
    (folder / "yy.val.txt").rename(folder / "xx.val.txt")
    (folder / "kept").rename(folder / "yy.val.txt")
    (line,) = warnings(folder, source="xx", target="yy")
    assert line == "val: its sides look like those of train swapped"


def test_a_file_of_another_language(good: Pairs, tmp_path: Path) -> None:
    folder = write(tmp_path, good[:TRAIN], good, ("de", "fr"))
    found = warnings(folder, source="de")
    assert "train: the side of de looks like en" in found


def test_another_script_than_the_languages(good: Pairs, tmp_path: Path) -> None:
    folder = write(tmp_path, good[:TRAIN], good, ("ru", "fr"))
    found = warnings(folder, source="ru")
    assert any(
        "are written in another script than the rest: 3,000 (100 %)" in line for line in found
    )


def test_a_line_that_one_side_lacks_is_found(good: Pairs, tmp_path: Path) -> None:
    """A training refuses such a folder; `data` says where it begins."""
    folder = write(tmp_path, good[:TRAIN], good)
    lines = (folder / "fr.train.txt").read_text().splitlines(keepends=True)
    (folder / "fr.train.txt").write_text("".join(lines[:1536] + lines[1537:]))
    found = warnings(folder)
    assert "train: the sides have different numbers of lines: 3,000 en and 2,999 fr" in found
    shift = "train: the targets of lines 1,537 to 2,999 stand 1 line above their sources"
    assert shift in found


def look(*arguments: str | Path) -> int:
    """The command `data`, with a vocabulary that the corpus supports."""
    return main(["--vocabulary-size=400", *map(str, arguments)])


def cleaned(folder: Path, output: Path) -> str:
    """Writes a cleaned copy; gives what is said of it."""
    splits = every_split(TrainConfig(dataset=str(folder)))
    inspected = inspect(splits, keep_keys=True)
    left_out = clean(splits, inspected, output)
    return summary(left_out, inspected.inspections[-1].pairs, output)


@pytest.fixture(scope="module")
def spoiled(good: Pairs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus with ten faults, some pairs of each, in places that are known."""
    train = good[:TRAIN]
    source, target = train[0]
    faulty = {
        10: ("", target),
        20: (f"{source} " * 400, target),
        30: (source, target * 6),
        40: (source, source),
        50: (target, source),
        60: (source.lower().translate(CYRILLIC), target),
        70: (f"{source}\x01", target),
        80: (source, target.encode().decode("latin-1") + "Ã©"),
        90: (source, f"<i>{target}</i>"),
        100: train[1],
        110: good[TRAIN],
    }
    for line, pair in faulty.items():
        train[line - 1] = pair
    return write(tmp_path_factory.mktemp("spoiled"), train, good)


def test_a_cleaned_copy_and_what_was_left_out(spoiled: Path, good: Pairs, tmp_path: Path) -> None:
    output = tmp_path / "clean"
    said = cleaned(spoiled, output)
    assert f"{output}: 2,989 of 3,000 pairs; left out were 11" in said
    assert "  that hold HTML tags: 1" in said

    rows = (output / "left_out.train.tsv").read_text(encoding="utf-8").splitlines()
    reasons = [row.split("\t")[:2] for row in rows]
    assert reasons == [
        ["line", "reason"],
        ["10", "empty"],
        ["20", "long"],
        ["30", "uneven"],
        ["40", "copy"],
        ["50", "swapped"],
        ["60", "script"],
        ["70", "control"],
        ["80", "misread"],
        ["90", "tags"],
        ["100", "duplicate"],
        ["110", "leaked"],
    ]
    assert all(len(row) < 500 for row in rows)

    kept = [pair for number, pair in enumerate(good[:TRAIN], 1) if number % 10 or number > 110]
    for side, language in enumerate(("en", "fr")):
        lines = (output / f"{language}.train.txt").read_text(encoding="utf-8")
        assert lines == "".join(f"{pair[side]}\n" for pair in kept)
        for split in ("val", "test"):
            name = f"{language}.{split}.txt"
            assert (output / name).read_bytes() == (spoiled / name).read_bytes()
    assert warnings(output) == []


def test_stretches_that_are_out_of_step_are_left_out(good: Pairs, tmp_path: Path) -> None:
    train = late(good[:TRAIN], 1536)
    folder = write(tmp_path / "corpus", train, good)
    cleaned(folder, tmp_path / "clean")
    kept = (tmp_path / "clean/fr.train.txt").read_text().splitlines()
    assert kept == [target for _, target in good[: len(kept)]]
    assert 1536 - 128 - 10 <= len(kept) <= 1536


def test_a_folder_that_holds_something_is_not_cleaned_into(
    spoiled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert look("--dataset", spoiled, "--clean", spoiled) == 1
    assert "error: --clean must be an empty folder" in capsys.readouterr().err


def test_sides_of_different_numbers_of_lines_are_not_cleaned(good: Pairs, tmp_path: Path) -> None:
    """Nobody knows which lines belong together."""
    folder = write(tmp_path / "corpus", good[:300], good)
    lines = (folder / "fr.train.txt").read_text().splitlines(keepends=True)
    (folder / "fr.train.txt").write_text("".join(lines[:49] + lines[50:]))
    expected = r"split train has as many lines on both sides\. Received: '300 and 299'"
    with pytest.raises(ValueError, match=expected):
        cleaned(folder, tmp_path / "clean")
    assert [path.name for path in tmp_path.iterdir()] == ["corpus"]


def test_a_cleaned_copy_is_utf8_under_any_locale_and_keeps_the_umask(
    spoiled: Path, tmp_path: Path
) -> None:
    script = (
        "import os, sys\n"
        "os.umask(0o077)\n"
        "from training.corpus.command import main\n"
        "sys.exit(main(['--vocabulary-size=400', *sys.argv[1:]]))"
    )
    arguments = ["--dataset", str(spoiled), "--clean", str(tmp_path / "clean")]
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "é" in (tmp_path / "clean/fr.train.txt").read_text(encoding="utf-8")
    assert (tmp_path / "clean").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "clean/fr.train.txt").stat().st_mode & 0o777 == 0o600


def test_nothing_is_written_where_nothing_would_be_left(good: Pairs, tmp_path: Path) -> None:
    folder = write(tmp_path / "corpus", late(good[:TRAIN]), good)
    with pytest.raises(ValueError, match="`dataset` must be a corpus of which something is left"):
        cleaned(folder, tmp_path / "clean")
    assert [path.name for path in tmp_path.iterdir()] == ["corpus"]


def test_the_report_in_files(
    spoiled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files: list[str | Path] = ["--output", tmp_path / "report", "--clean", tmp_path / "clean"]
    assert look("--dataset", spoiled, *files) == 0
    said = capsys.readouterr().out
    assert f"{tmp_path / 'clean'}: 2,989 of 3,000 pairs; left out were 11" in said
    assert "fr has 1." in said
    assert "A training drops, of 3,000 pairs: 1 (0.033 %) empty, " in said

    report = json.loads((tmp_path / "report.json").read_text())
    train = report["splits"][-1]
    assert (train["name"], train["pairs"]) == ("train", 3000)
    assert sum(train["sides"][0]["lengths"]) == 3000
    assert train["faults"]["control"] == {"pairs": 1, "lines": [70]}
    assert sum(report["dropped"][name] for name in ("kept", "empty", "too_long", "uneven")) == 3000
    overlap = report["overlaps"][-1]
    assert (overlap["split"], overlap["other"], overlap["pairs"]) == ("val", "train", 1)
    printed = [line for line in said.splitlines() if line.startswith("warning: ")]
    assert [f"warning: {line}" for line in report["warnings"]] == printed

    with (tmp_path / "report.png").open("rb") as file:
        assert file.read(4) == b"\x89PNG"
