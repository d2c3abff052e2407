"""Nothing is lost behind normalization; sampling is as announced, in any process."""

import itertools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from attention_nmt.data.tokenizer import Tokenizer
from attention_nmt.types import SPECIAL
from tests.attention_nmt.conftest import VOCABULARY_SIZE

ROOT = Path(__file__).parents[3]

PAD, UNKNOWN, START, END = SPECIAL

TEXTS = [
    "",
    " ",
    "   \t\n ",
    "A dog runs.",
    "  two   spaces  ",
    "Grüße, Straße; naïve café",
    "e\u0301 \u0327c a\u0308\u0304",
    "日本語 и русский العربية हिन्दी",
    "🐕‍🦺 👩‍👩‍👧 🇩🇪 \U0001f3fd",
    "\U00010348 \U0001d11e \U000e0041 \U0010fffd",
    "\x00\x01\x07\x1b[0m\x7f\x85",
    "tab\tline\nfeed\r\nend\u2028and\u2029more\u3000wide\xa0hard",
    "zero\u200bwidth\u200djoin\ufeffbom\u00adsoft",
    "<s> </s> <pad> <unk> <0x41>",
    "ﬁ ² ½ Å ｆｕｌｌ",
    "\ufffd",
]


def random_texts(count: int) -> list[str]:
    """Strings from all planes, surrogates and U+2581 (how pieces spell a space) left out."""
    generator = np.random.default_rng(0)
    ends = [0x80, 0x300, 0x370, 0x2000, 0x3000, 0xD800, 0x20000, 0x110000]
    texts = []
    for _ in range(count):
        codes = generator.integers(0, generator.choice(ends, generator.integers(1, 30)))
        texts.append("".join(chr(c) for c in codes if not 0xD800 <= c < 0xE000 and c != 0x2581))
    return texts


def round_trip(tokenizer: Tokenizer, texts: list[str] | list[bytes]) -> list[str]:
    ids = tokenizer.tokenize(
        tf.constant([t.encode() if isinstance(t, str) else t for t in texts])
    ).to_tensor()
    return [text.decode() for text in tokenizer.detokenize(ids).numpy()]


def test_nothing_is_lost_but_by_normalization(tokenizer: Tokenizer) -> None:
    texts = [*TEXTS, *random_texts(400)]
    for text, back in zip(texts, round_trip(tokenizer, texts), strict=True):
        assert back == tokenizer.normalize(text), ascii(text)


def test_normalization_by_hand(tokenizer: Tokenizer) -> None:
    cases = {
        "": "",
        "  \t\n": "",
        "  two   spaces  ": "two spaces",
        "ﬁ ½": "ﬁ ½",
        "e\u0301": "é",
        "a\u3000b": "a b",
    }
    assert {text: tokenizer.normalize(text) for text in cases} == cases
    for text in [*TEXTS, *random_texts(100)]:
        once = tokenizer.normalize(text)
        assert tokenizer.normalize(once) == once, ascii(text)


def test_a_vocabulary_smaller_than_the_characters_of_the_text() -> None:
    rare = "".join(map(chr, range(0x4E00, 0x4E00 + 200)))
    texts = ["the dog sees the cat"] * 1000 + [rare]
    message = (
        r"Received: 300\. The special pieces and the characters alone are 47\d; "
        r"a smaller `character_cov"
    )
    with pytest.raises(ValueError, match=message):
        Tokenizer.train(texts, 300, character_coverage=1)
    assert round_trip(Tokenizer.train(texts, 270, character_coverage=0.98), [rare]) == [rare]
    with pytest.raises(
        ValueError, match=r"`character_coverage` must be a share from 0\.98 to 1\. Received: 0\.9"
    ):
        Tokenizer.train(texts, 300, character_coverage=0.9)


def test_long_words_are_not_remembered(tokenizer: Tokenizer) -> None:
    texts = ["dog " + "dog" * 30, "cat " * 3]
    fresh = Tokenizer(tokenizer.model_proto)
    for ids, text in zip(fresh.sample(texts, [1], 0.3), texts, strict=True):
        assert tokenizer.detokenize(tf.constant([ids])).numpy()[0].decode() == text.strip()
    assert (
        fresh._sampler.remembered.cache_info().currsize == 3
    )  # "dog", "cat", and nothing, before the first space


BROKEN = [
    b"\xff",
    b"dog\xc3",
    b"\xe2\x82 a",
    b"\xed\xa0\x80",
    b"\xf0\x9f\x90",
    b"a\x80b",
    b"\xc0\xaf",
]


def test_invalid_utf8_is_read_as_replacement_characters(
    tokenizer: Tokenizer, sentences: list[str]
) -> None:
    """Which SentencePiece's NFKC makes a space of."""
    expected = [text.decode(errors="replace") for text in BROKEN]
    assert round_trip(tokenizer, BROKEN) == expected
    compatible = Tokenizer.train(sentences, 330, normalization="nfkc")
    assert round_trip(compatible, BROKEN) == ["", "dog", "a", "", "", "a b", ""]


def test_invalid_utf8_has_the_same_ids_in_a_graph_and_outside_of_it(tokenizer: Tokenizer) -> None:
    assert tokenizer.encode(BROKEN) == tokenizer.tokenize(tf.constant(BROKEN)).to_list()


def test_in_a_graph_and_outside_of_it_the_ids_are_the_same(tokenizer: Tokenizer) -> None:
    texts = [*TEXTS, *random_texts(100)]
    graph = tf.function(
        tokenizer.tokenize, input_signature=[tf.TensorSpec([None], tf.string)], autograph=False
    )
    strings = tf.constant([text.encode() for text in texts])
    assert (
        graph(strings).to_list() == tokenizer.encode(texts) == tokenizer.tokenize(strings).to_list()
    )
    assert tokenizer.encode([""]) == [[]]
    assert graph(tf.constant([], tf.string)).to_list() == []


def test_a_graph_lives_on_after_a_global_seed_is_set(sentences: list[str]) -> None:
    """`tf.random.set_seed` empties TensorFlow's cache of kernels."""
    tokenizer = Tokenizer.train(
        sentences, 320
    )  # not the fixture, whose model other tests keep alive
    numbered = tf.data.Dataset.from_tensors(sentences[:3]).map(tokenizer.tokenize)
    expected = next(iter(numbered)).to_list()
    tf.random.set_seed(1)
    assert next(iter(numbered)).to_list() == expected
    assert tokenizer.tokenize(tf.constant(sentences[:3])).to_list() == expected


def test_special_symbols_are_never_made_of_text(tokenizer: Tokenizer) -> None:
    assert min(i for ids in tokenizer.encode(["<s> </s> <pad> <unk>", *TEXTS]) for i in ids) > END


def test_detokenize_stops_at_end_or_padding(tokenizer: Tokenizer) -> None:
    (dog,) = tokenizer.encode(["a dog"])
    rows = tf.constant([[*dog, END, *dog], [*dog, PAD, *dog], [END, *dog, *dog], [*dog, *dog, END]])
    assert [t.decode() for t in tokenizer.detokenize(rows).numpy()] == [
        "a dog",
        "a dog",
        "",
        "a dog a dog",
    ]


def test_decoding_in_a_graph_and_outside_of_it_gives_the_same_text(tokenizer: Tokenizer) -> None:
    """Of any ids, bytes that spell no character included."""
    generator = np.random.default_rng(2)
    rows = generator.integers(0, VOCABULARY_SIZE, (300, 12)).astype(np.int32)
    rows[:100] = generator.integers(END + 1, END + 257, (100, 12))
    expected = [t.decode(errors="replace") for t in tokenizer.detokenize(tf.constant(rows)).numpy()]
    assert tokenizer.decode(rows) == tokenizer.decode(rows.tolist()) == expected
    assert any("\ufffd" in text for text in expected)
    texts = [*TEXTS, *random_texts(100)]
    assert tokenizer.decode(tokenizer.encode(texts)) == [tokenizer.normalize(t) for t in texts]


@pytest.mark.parametrize("prefix", [(), (7,), (7, 9)])
def test_what_a_model_reads_of_a_source(
    prefix: tuple[int, ...], tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tokenizer's prefix, pieces and the end symbol, in a graph and outside of it."""
    monkeypatch.setattr(Tokenizer, "source_prefix", prefix)
    texts = ["a dog", "", "Two young girls"]
    pieces = tokenizer.encode(texts)
    for limit in (
        100,
        len(pieces[2]) + 1 + len(prefix),
        len(pieces[2]) + len(prefix),
        2 + len(prefix),
    ):
        most = limit - 1 - len(prefix)
        expected = [[*prefix, *ids[:most], END] for ids in pieces]
        assert tokenizer.source_ids(texts, limit) == expected
        source = tokenizer.graph.source_ids(tf.constant(texts), limit)
        padded = itertools.zip_longest(*expected, fillvalue=PAD)
        np.testing.assert_array_equal(source.ids, np.array(list(padded)).T)
        assert source.empty.numpy().tolist() == [False, True, False]
        assert source.truncated.numpy().tolist() == [len(ids) > most for ids in pieces]
    targets = tokenizer.graph.target_ids(tf.constant(["a dog"]))
    assert targets.ids.numpy().tolist() == [[*pieces[0], END]]
    assert targets.truncated.numpy().tolist() == [False]


WITHOUT_TENSORFLOW = """
import sys
sys.modules["tensorflow"] = None  # an import fails as it does where there is none
from attention_nmt.data.tokenizer import Tokenizer
sentences = sys.argv[2:]
tokenizer = Tokenizer.train(sentences, 330)
tokenizer.save(sys.argv[1])
loaded = Tokenizer.load(sys.argv[1])
texts = sentences[:3]
assert loaded.vocabulary_size == 330
assert loaded.decode(loaded.encode(texts)) == texts
assert loaded.decode(loaded.sample(texts, [1], 0.3)) == texts
assert loaded.source_ids(texts, 4)[0][3] == loaded.special.end
try:
    loaded.module
except ImportError as error:
    print(error)
assert "keras" not in sys.modules
"""


def test_a_tokenizer_needs_no_tensorflow(sentences: list[str], tmp_path: Path) -> None:
    """But for graphs, where what is missing is named with the command that installs it."""
    process = subprocess.run(
        [sys.executable, "-c", WITHOUT_TENSORFLOW, str(tmp_path / "tokenizer.model"), *sentences],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    assert "pip install 'attention-nmt[tensorflow]'" in process.stdout


def test_pieces(tokenizer: Tokenizer) -> None:
    ids = tokenizer.tokenize(tf.constant(["A dog", "dog"])).to_tensor()
    pieces = tokenizer.pieces(ids).numpy()
    assert pieces.shape == ids.shape
    assert b"".join(pieces[0]).decode() == "▁A▁dog"
    assert (pieces[ids.numpy() == PAD] == b"").all()


def test_save_and_load(tokenizer: Tokenizer, tmp_path: Path) -> None:
    tokenizer.save(tmp_path / "tokenizer.model")
    loaded = Tokenizer.load(tmp_path / "tokenizer.model")
    assert loaded.model_proto == tokenizer.model_proto
    assert loaded.vocabulary_size == tokenizer.vocabulary_size == VOCABULARY_SIZE
    assert [path.name for path in tmp_path.iterdir()] == ["tokenizer.model"]
    with pytest.raises(FileNotFoundError):
        Tokenizer.load(tmp_path / "none.model")


@pytest.mark.parametrize("proto", [b"", b"not a model", b"\x00" * 100, b"\x08\x01\x12\x03abc"])
def test_wrong_model_bytes(proto: bytes) -> None:
    with pytest.raises(ValueError, match="`model_proto` must be"):
        Tokenizer(proto)


def test_long_lines_are_learned_from(sentences: list[str]) -> None:
    """SentencePiece's own limit is 4,192 bytes."""
    line = " ".join([*sentences, "über Äcker"])[-10:] * 350 + " ".join(sentences)[:500]
    assert len(line) == 4000
    assert len(line.encode()) > 4192
    assert Tokenizer.train([line] * 4, 320).vocabulary_size == 320


def test_lines_over_4000_characters_are_left_out_of_a_vocabulary(sentences: list[str]) -> None:
    """A line of a megabyte would take minutes. A warning says that they were left out."""
    expected = Tokenizer.train(sentences, 330).model_proto
    expected_warning = "2 texts over 4000 characters were left out"
    with pytest.warns(UserWarning, match=expected_warning) as warned:
        found = Tokenizer.train(["dog" * 330_000, *sentences, "dog " * 1001], 330).model_proto
    assert found == expected
    assert warned[0].filename == __file__  # where the vocabulary was asked for

    with pytest.raises(ValueError, match="not empty, of at most 4000 characters"):
        Tokenizer.train(["dog " * 1001], 330)


def test_one_string_in_place_of_a_list_is_refused(tokenizer: Tokenizer) -> None:
    """It was read as a list of letters."""
    message = "`texts` must be a list of strings. Received one string: 'the red dress'"
    for function in (
        tokenizer.encode,
        lambda text: tokenizer.source_ids(text, 10),
        lambda text: tokenizer.sample(text, [1], 0.1),
        lambda text: Tokenizer.train(text, 300),
    ):
        with pytest.raises(TypeError, match=message):
            function("the red dress")

    with pytest.raises(TypeError, match="`rows` must be rows of ids"):
        tokenizer.decode([5, 6, 7])  # type: ignore[list-item]


@pytest.mark.parametrize("value", [None, float("nan"), 3, ["a dog"]], ids=str)
def test_what_is_no_string_is_named(value: object, tokenizer: Tokenizer) -> None:
    texts: list = ["a dog", value]
    for function in (tokenizer.encode, lambda texts: Tokenizer.train(texts, 300)):
        with pytest.raises(TypeError, match=r"`texts` must be strings. Received at index 1: "):
            function(texts)

    with pytest.raises(TypeError, match="`texts` must be strings"):
        tokenizer.normalize(value)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="`model_proto` must be the bytes of a file"):
        Tokenizer(value)  # type: ignore[arg-type]


def test_an_error_of_the_texts_is_not_one_of_the_vocabulary(sentences: list[str]) -> None:
    """SentencePiece hands on whatever is raised where texts are read as an error of its own."""

    def texts() -> Iterator[str]:
        yield from sentences
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        Tokenizer.train(texts(), 300)


def test_a_size_that_is_too_small_for_any_text(sentences: list[str]) -> None:
    with pytest.raises(ValueError, match="`vocabulary_size` must be a size that the text supports"):
        Tokenizer.train(sentences, 1)


@pytest.mark.parametrize("size", [300.5, "300", 0], ids=str)
def test_a_size_that_is_no_number_of_pieces(size: int, sentences: list[str]) -> None:
    with pytest.raises(ValueError, match="`vocabulary_size` must be an integer of at least 1"):
        Tokenizer.train(sentences, size)


def test_ranks_and_types_of_tensors_are_checked(tokenizer: Tokenizer) -> None:
    for text in ("a dog", [["a dog"]], [1, 2]):
        for function in (tokenizer.tokenize, tokenizer.graph.source_ids):
            with pytest.raises(ValueError, match="`text` must be string of rank 1"):
                function(tf.constant(text))
    for ids in ([5, 6], [[5.0]]):
        with pytest.raises(ValueError, match="`ids` must be int32 of rank 2"):
            tokenizer.detokenize(tf.constant(ids))


def test_training_is_deterministic(sentences: list[str]) -> None:
    """Also where lines are read from a generator, and empty ones come first."""
    first, second = (Tokenizer.train(sentences, 340) for _ in range(2))
    assert first.model_proto == second.model_proto
    assert Tokenizer.train(iter(["", *sentences]), 340).vocabulary_size == 340


@pytest.mark.parametrize("size", [5000, 100])
def test_a_size_that_the_text_does_not_support(size: int, sentences: list[str]) -> None:
    with pytest.raises(ValueError, match=rf"`vocabulary_size` must be .*Received: {size}\. .*\d"):
        Tokenizer.train(sentences, size)


@pytest.mark.parametrize("texts", [[], ["", "  "]], ids=["none", "empty"])
def test_no_text(texts: list[str]) -> None:
    with pytest.raises(ValueError, match="`texts` must be at least one sentence that is not empty"):
        Tokenizer.train(texts, 300)


def test_sampled_pieces_spell_the_text(tokenizer: Tokenizer, sentences: list[str]) -> None:
    texts = [*sentences, *TEXTS, *random_texts(100)]
    for alpha in (0.0, 0.2, 1.0):
        for text, ids in zip(texts, tokenizer.sample(texts, (1, 2), alpha), strict=True):
            padded = tf.constant([[*ids, END]])
            assert tokenizer.detokenize(padded).numpy()[0].decode() == tokenizer.normalize(text), (
                ascii(text)
            )


def test_sampling_depends_on_the_seed_alone(
    tokenizer: Tokenizer, sentences: list[str], tmp_path: Path
) -> None:
    drawn = tokenizer.sample(sentences, (1, 2, 3), 0.1)
    assert tokenizer.sample(sentences, (1, 2, 3), 0.1) == drawn
    assert tokenizer.sample([s.encode() for s in sentences], (1, 2, 3), 0.1) == drawn
    assert tokenizer.sample(sentences, (1, 2, 4), 0.1) != drawn
    tokenizer.save(tmp_path / "tokenizer.model")
    code = """
import sys
from attention_nmt.data.tokenizer import Tokenizer
print(Tokenizer.load(sys.argv[1]).sample(sys.argv[2:], (1, 2, 3), 0.1))
"""
    other = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "tokenizer.model"), *sentences],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    assert other.stdout.strip() == str(drawn)


def test_a_large_alpha_gives_the_best_segmentation(
    tokenizer: Tokenizer, sentences: list[str]
) -> None:
    assert tokenizer.sample(sentences, [0], 1000.0) == tokenizer.encode(sentences)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_words_are_drawn_by_their_probabilities(alpha: float, tokenizer: Tokenizer) -> None:
    """Within four standard errors of p ** alpha, over the segmentations SentencePiece lists."""
    import sentencepiece

    draws, word = 4000, "the"
    processor = sentencepiece.SentencePieceProcessor(model_proto=tokenizer.model_proto)
    segmentations = [tuple(ids) for ids in processor.nbest_encode_as_ids(word, 100)]
    assert 2 <= len(segmentations) <= 32
    logarithms = np.array([sum(processor.get_score(i) for i in ids) for ids in segmentations])
    expected = np.exp(alpha * logarithms) / np.exp(alpha * logarithms).sum()
    drawn = [tuple(ids) for ids in tokenizer.sample([word] * draws, [1], alpha)]
    assert set(drawn) <= set(segmentations)
    shares = np.array([drawn.count(ids) / draws for ids in segmentations])
    error = np.sqrt(expected * (1 - expected) / draws)
    assert (np.abs(shares - expected) <= 4 * error + 1e-3).all()
