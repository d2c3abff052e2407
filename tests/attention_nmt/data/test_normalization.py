"""The rules in a tokenizer's file do what `unicodedata` does, in Python and in graphs alike."""

from __future__ import annotations

import itertools
import random
import unicodedata
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import sentencepiece
import tensorflow as tf
import tensorflow_text as tf_text

from attention_nmt.data import normalization
from attention_nmt.data.normalization import DROPPED, HANGUL, SPACE, RuleTable, Spellings
from attention_nmt.data.tokenizer import Tokenizer

WORDS = 300
"""Words of each script that are drawn."""

SCRIPTS = {
    "Latin": "Crème brûlée, naïve Äpfel; l'œuvre d'Ångström: « ¿Mañana? » 1º, m², ½ ™.",
    "Vietnamese": "Tôi muốn mua một chiếc váy đỏ ở chợ Bến Thành. Người đẹp ưỡn ẹo.",
    "Greek": "Ἐν ἀρχῇ ἦν ὁ λόγος, καὶ ὁ λόγος ἦν πρὸς τὸν θεόν; Καλημέρα σας! ᾄδω τῷ ὕπνῳ",
    "Thai": "ฉันทำงานที่กรุงเทพฯ น้ำ กำลัง ที่นี่ ผู้ใหญ่ กุ้งเผา ๑๒๓",
    "Persian": "من می‌خواهم کتاب‌ها را بخوانم؛ خانهٔ ما آبی است. مُحَمَّد؟",
    "Hindi": "मैं हिन्दी में लिखता हूँ। ज़रूर, फ़िल्म और क़लम, सड़क पढ़ना क्‍ष।",
    "Korean": "나는 빨간 드레스를 사고 싶습니다. 한국어 값싼 닭",
    "Chinese": "我想买一件红色的连衣裙，好吗？不行！真的；“是的”。《红楼梦》（上）",
    "Japanese": "赤いドレスを買いたいです。ガギグゲゴ、パピプペポ！ヴァイオリン？　ｶﾞﾗｽ",
}
"""Sentences of some scripts, as their writers write them."""


@pytest.fixture(scope="module")
def spellings() -> Spellings:
    return Spellings(normalization._decompositions())


@pytest.fixture(scope="module")
def tokenizers() -> dict[str, Tokenizer]:
    """A tokenizer of each normalization whose vocabulary has every character of the scripts."""
    texts = list(SCRIPTS.values()) * 20
    names = normalization.NORMALIZATIONS
    return {name: Tokenizer.train(texts, 515, 1.0, name) for name in names}  # type: ignore[arg-type]


def rewritten(text: str) -> str:
    """A text as the rules of `nfc` in SentencePiece's form make it."""
    return normalization.compiled("nfc").normalize(text).replace(SPACE, " ").strip(" ")


def expected(text: str) -> str:
    """A text as Python makes it: spaces, dropped characters, NFC."""
    kept = []
    for character in text:
        if character.isspace() or character == SPACE:
            kept.append(" ")
        elif character not in DROPPED and not "\x00" < character < " " and character != "\x7f":
            kept.append(character)

    return unicodedata.normalize("NFC", " ".join("".join(kept).split(" "))).strip(" ")


def test_every_character_by_itself() -> None:
    """All that are assigned but U+0000, in one text, whose separators nothing composes with."""
    codes = itertools.chain(range(1, 0xD800), range(0xE000, 0x32000), range(0xE0000, 0xE0200))
    characters = [f"<{chr(code)}>" for code in codes]
    assert rewritten("".join(characters)) == "".join(map(expected, characters))


def test_every_pair_that_unicode_composes() -> None:
    pairs = [text for text in normalization._decompositions().values() if len(text) == 2]
    syllables = [unicodedata.normalize("NFD", chr(code)) for code in HANGUL]
    partly = [unicodedata.normalize("NFC", text[:2]) + text[2:] for text in syllables]
    assert len(pairs) > 1000
    assert len(set(syllables)) == 11172
    for text in [*pairs, *syllables, *partly]:
        assert rewritten(text) == unicodedata.normalize("NFC", text), ascii(text)


def test_every_spelling_of_a_composed_character(spellings: Spellings) -> None:
    """With its marks in any order, with any of them composed, and within a word."""
    count = 0
    for character in normalization._decompositions():
        found = spellings.of(character)
        count += len(found)
        for text in found:
            assert rewritten(f"({text})") == expected(f"({character})")
    assert spellings.of("ệ") == {"ệ", "ẹ\u0302", "ê\u0323", "e\u0323\u0302", "e\u0302\u0323"}
    assert count > 5000


def test_by_hand() -> None:
    cases = {
        "ệ, from a Windows file": ("e\u0302\u0323", "ệ"),
        "Yoruba, typed tone first": ("o\u0301\u0323", "ọ\u0301"),
        "Greek, with the iota first": ("α\u0345\u0313\u0301", "ᾄ"),
        "Thai, tone before vowel": ("ก\u0e49\u0e38ง", "กุ้ง"),
        "Thai sara am": ("ทำ", "ทำ"),
        "Arabic, shadda before fatha": ("م\u0651\u064e", "م\u064e\u0651"),
        "Persian non-joiner": ("می\u200cخواهم", "می\u200cخواهم"),
        "Hindi, virama before nukta": ("न\u094d\u093c", "ऩ\u094d"),
        "Korean of a Mac": ("한국", "한국"),
        "full width stays": ("，！？；ＡＢＣ", "，！？；ＡＢＣ"),
        "superscripts stay": ("m² ½ 1º ™ ﬁ", "m² ½ 1º ™ ﬁ"),
        "the Ångström sign": ("\u212b", "Å"),
        "white space": ("a\u00a0b\u3000c\u202fd\t\r\n e\u2028f", "a b c d e f"),
        "characters that show nothing": ("so\u00adft w\u2060j \ufeffbom", "soft wj bom"),
        "control characters": ("a\x07b\x1b[0m\x7f", "ab[0m"),
        "characters that stay": ("\u200b \u200c \u200d \u200e \x80 \ufffd", None),
    }
    for name, (text, normalized) in cases.items():
        assert rewritten(text) == (text if normalized is None else normalized), name


def letters_with_marks(
    letters: str, marks: Callable[[str], list[str]], most: int
) -> Callable[[random.Random], str]:
    """Draws a letter with at most `most` different marks, in any order."""

    def draw(generator: random.Random) -> str:
        letter = generator.choice(letters)
        possible = marks(letter)
        count = min(len(possible), generator.randint(0, most))
        return letter + "".join(generator.sample(possible, count))

    return draw


def composing_marks() -> dict[str, list[str]]:
    """The marks that compose with each letter."""
    found: dict[str, list[str]] = {}
    for character, decomposition in normalization._decompositions().items():
        if len(decomposition) == 2 and unicodedata.normalize("NFC", character) == character:
            found.setdefault(decomposition[0], []).append(decomposition[1])
    return found


def respelled(characters: str, spellings: Spellings) -> Callable[[random.Random], str]:
    """Draws a character, and a spelling of it."""
    return lambda generator: generator.choice(sorted(spellings.of(generator.choice(characters))))


def span(first: int, last: int) -> str:
    """The assigned characters from one code point to another."""
    characters = map(chr, range(first, last + 1))
    return "".join(c for c in characters if unicodedata.category(c) != "Cn")


def drawn_characters(spellings: Spellings) -> dict[str, Callable[[random.Random], str]]:
    """For each script what draws a letter with its marks, spelled in any way."""
    composing = composing_marks()
    latin = "".join(letter for letter in composing if letter.isascii() and letter.isalpha())
    vietnamese = "".join(set(SCRIPTS["Vietnamese"]) - set(" .")) + span(0x1EA0, 0x1EF9)
    vowels = list("\u064b\u064c\u064d\u064e\u064f\u0650\u0651\u0652\u0670")
    kana = span(0x3041, 0x3096) + span(0x30A1, 0x30FA)
    syllables = span(0xAC00, 0xD7A3)

    def hangul(generator: random.Random) -> str:
        syllable = generator.choice(syllables)
        letters = unicodedata.normalize("NFD", syllable)
        partly = unicodedata.normalize("NFC", letters[:2]) + letters[2:]
        return generator.choice([syllable, letters, partly])

    return {
        "Latin": letters_with_marks(latin, lambda letter: composing[letter], 2),
        "Vietnamese": respelled(vietnamese, spellings),
        "Greek": respelled(span(0x386, 0x3CE) + span(0x1F00, 0x1FFC), spellings),
        "Thai": letters_with_marks(span(0xE01, 0xE2E) + "ำาะเแ", lambda _: list("ัิีึืฺุู่้๊๋์"), 2),
        "Persian": letters_with_marks(
            "اوهیکگپچژسم\u200c", lambda letter: [*vowels, *composing.get(letter, [])], 2
        ),
        "Hindi": letters_with_marks(
            span(0x915, 0x939) + span(0x958, 0x95F), lambda _: list("\u093c\u094d"), 2
        ),
        "Korean": hangul,
        "Chinese": respelled(
            "，！？；：（）" + span(0x4E00, 0x4EFF) + span(0xF900, 0xFAD9), spellings
        ),
        "Japanese": letters_with_marks(kana + "ｶｷﾞ神\ufa19", lambda _: ["\u3099", "\u309a"], 1),
        "Hebrew": letters_with_marks(span(0x5D0, 0x5EA), lambda _: list(span(0x5B0, 0x5BC)), 2),
    }


def drawn_texts(spellings: Spellings) -> Iterator[tuple[str, str]]:
    """The names of scripts and texts of words of letters that were drawn."""
    generator = random.Random(1)
    for script, draw in drawn_characters(spellings).items():
        for _ in range(WORDS):
            lengths = [generator.randint(1, 6) for _ in range(3)]
            words = ["".join(draw(generator) for _ in range(length)) for length in lengths]
            yield script, " ".join(words)


def test_words_of_real_scripts_in_any_spelling(spellings: Spellings) -> None:
    for script, text in drawn_texts(spellings):
        assert rewritten(text) == expected(text), (script, ascii(text))


def test_sentences_of_real_scripts_in_any_spelling(spellings: Spellings) -> None:
    generator = random.Random(2)
    for script, sentence in SCRIPTS.items():
        assert rewritten(sentence) == expected(sentence)
        assert rewritten(unicodedata.normalize("NFD", sentence)) == expected(sentence)
        for _ in range(20):
            drawn = [generator.choice(sorted(spellings.of(letter))) for letter in sentence]
            assert rewritten("".join(drawn)) == expected(sentence), script


def test_what_the_rules_do_not_reach_is_canonically_equivalent() -> None:
    """As it is for any text, from all planes; nothing is lost."""
    mark_between = "a\u0316\u0301"
    assert rewritten(mark_between) == mark_between
    assert expected(mark_between) == "á\u0316"
    three_marks = "م\u0651\u064e\u064b"
    assert rewritten(three_marks) != expected(three_marks)

    generator = np.random.default_rng(3)
    ends = [0x300, 0x370, 0x700, 0xE80, 0x2000, 0x3100, 0xD800, 0x20000, 0x110000]
    for _ in range(1000):
        codes = generator.integers(1, generator.choice(ends, generator.integers(1, 30)))
        text = "".join(chr(code) for code in codes if not 0xD800 <= code < 0xE000)
        for one in (text, mark_between, three_marks):
            decomposed = unicodedata.normalize("NFD", rewritten(one))
            assert decomposed == unicodedata.normalize("NFD", expected(one)), ascii(one)


def test_rules_are_applied_as_sentencepiece_applies_them(spellings: Spellings) -> None:
    table = RuleTable(normalization.rules())
    for _, text in itertools.islice(drawn_texts(spellings), 0, None, 40):
        assert " ".join(table.apply(text).split(" ")) == rewritten(text)
    assert RuleTable().apply("a b") == "a b"
    assert RuleTable({"a": "", "ab": "c", "c": "d"}).apply("aabc") == "cd"


def test_a_table_is_smaller_than_that_of_nfkc(tokenizers: dict[str, Tokenizer]) -> None:
    sizes = {name: len(tokenizer.model_proto) for name, tokenizer in tokenizers.items()}
    assert sizes["nfc"] < 0.85 * sizes["nfkc"]
    assert sizes["none"] < 0.1 * sizes["nfkc"]
    assert len(normalization.compiled("nfc").serialized_normalizer_spec()) < 200_000


@pytest.mark.parametrize("name", normalization.NORMALIZATIONS)
def test_a_graph_and_litert_have_the_same_pieces(
    name: str, tokenizers: dict[str, Tokenizer], spellings: Spellings
) -> None:
    """LiteRT's tokenizer, which has no bytes: of texts that the vocabulary covers."""
    tokenizer = tokenizers[name]
    fast = tf_text.FastSentencepieceTokenizer(tokenizer.model_proto)
    generator = random.Random(4)
    texts = []
    for sentence in SCRIPTS.values():
        drawn = [generator.choice(sorted(spellings.of(letter))) for letter in sentence]
        texts += [sentence, unicodedata.normalize("NFD", sentence), "".join(drawn)]
        texts.append("\u00ad".join(sentence.replace(" ", "\u3000 ")) + "\ufeff")

    ids = tokenizer.encode(texts)
    assert tokenizer.tokenize(tf.constant(texts)).to_list() == ids
    assert tokenizer.decode(ids) == [tokenizer.normalize(text) for text in texts]

    first_byte = sentencepiece.SentencePieceProcessor(
        model_proto=tokenizer.model_proto
    ).piece_to_id("<0x00>")
    covered = [not any(first_byte <= one < first_byte + 256 for one in row) for row in ids]
    assert sum(covered) == len(texts) if name == "nfc" else sum(covered) >= 9
    for text, row in itertools.compress(zip(texts, ids, strict=True), covered):
        assert fast.tokenize([text]).to_list() == [row], ascii(text)


def test_nfkc_and_none_are_what_they_were(tokenizers: dict[str, Tokenizer]) -> None:
    texts = {
        "，！？；": (",!?;", "，！？；"),
        "ทำ": ("ท\u0e4dา", "ทำ"),
        "می\u200cخواهم": ("می خواهم", "می\u200cخواهم"),
        "m² ½ 1º ™": ("m2 1⁄2 1o TM", "m² ½ 1º ™"),
        "e\u0301 a\u3000b": ("é a b", "e\u0301 a\u3000b"),
        "  two   spaces\u2581 ": ("two spaces", "two spaces"),
        "a\u00adb\u2060c\ufeffd": ("a\u00adb\u2060c d", "a\u00adb\u2060c\ufeffd"),
    }
    for text, (compatible, same) in texts.items():
        assert tokenizers["nfkc"].normalize(text) == compatible
        assert tokenizers["none"].normalize(text) == same


def test_another_normalization_is_refused(sentences: list[str]) -> None:
    expected = r"`normalization` must be one of \('nfc', 'nfkc', 'none'\). Received: 'NFD'"
    with pytest.raises(ValueError, match=expected):
        Tokenizer.train(sentences, 330, normalization="NFD")  # type: ignore[arg-type]


def test_sampled_pieces_spell_the_normalized_text(tokenizers: dict[str, Tokenizer]) -> None:
    """Also where a dropped character stood between a letter and its mark."""
    for tokenizer in tokenizers.values():
        texts = [unicodedata.normalize("NFD", text) for text in SCRIPTS.values()]
        texts += ["e\u00ad\u0301 e\x01\u0302", "\u0301 e\u2060\u0323\ufeff\u0302 \u00ad"]
        drawn = tokenizer.sample(texts, [1], 0.3)
        assert tokenizer.decode(drawn) == [tokenizer.normalize(text) for text in texts]
