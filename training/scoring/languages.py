"""Languages, as scoring knows them: which of them separate words by spaces."""

from __future__ import annotations

import re
from collections.abc import Sequence

from attention_nmt.checks import require

_CODES = {
    "zh": "zh zho chi cmn yue wuu lzh",
    "ja-mecab": "ja jpn",
    "ko-mecab": "ko kor",
    "char": "th tha lo lao km khm my mya bur bo bod tib dz dzo",
}
"""sacreBLEU's tokenizers, and the codes of the languages that need them (ISO 639, two and three
letters)."""

_TOKENIZERS = {code: tokenizer for tokenizer, codes in _CODES.items() for code in codes.split()}

_UNSPACED_SCRIPTS = re.compile(
    "[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff]"
)
"""Thai, Lao, Tibetan, Burmese, Khmer, kana and Chinese characters."""

_LONGEST_MEAN = 8
"""Characters of these scripts in a word: where there are more, spaces do not separate words."""


def base_language(language: str) -> str:
    """The part of a language code before its first hyphen or underscore, in lower case."""
    return re.split("[-_]", language.lower())[0]


def bleu_tokenizer(language: str) -> str:
    """The tokenizer of sacreBLEU's BLEU for a language code.

    It is "13a" for all languages that write spaces between words.
    """
    return _TOKENIZERS.get(base_language(language), "13a")


def spaced(language: str) -> bool:
    """True for a language that writes spaces between words."""
    return bleu_tokenizer(language) in ("13a", "ko-mecab")


def count_words(text: str, language: str) -> int:
    """The number of words of a text; of characters, in a language that separates no words."""
    words = text.split()
    return len(words) if spaced(language) else sum(map(len, words))


def check_language(texts: Sequence[str], language: str) -> None:
    """Makes sure that a language whose texts have no spaces between words is known as such.

    Raises:
        ValueError: it is not: each sentence would be one word, and BLEU 0.
    """
    words = sum(len(text.split()) for text in texts)
    characters = sum(len(_UNSPACED_SCRIPTS.findall(text)) for text in texts)

    unspaced_text = characters > _LONGEST_MEAN * words
    known = sorted(code for code in _TOKENIZERS if not spaced(code))
    suits = not (unspaced_text and spaced(language))
    require(suits, "target_language", f"one of {known} for text like this", language)
