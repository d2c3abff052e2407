"""What scoring has to know of languages: how words are told apart where no spaces stand between
them."""

from __future__ import annotations

import re
from collections.abc import Sequence

_CODES = {
    "zh": ("zh", "zho", "chi", "cmn", "yue", "wuu", "lzh"),
    "ja-mecab": ("ja", "jpn"),
    "ko-mecab": ("ko", "kor"),
    "char": (
        "th",
        "tha",
        "lo",
        "lao",
        "km",
        "khm",
        "my",
        "mya",
        "bur",
        "bo",
        "bod",
        "tib",
        "dz",
        "dzo",
    ),
}
"""sacreBLEU's tokenizers and the codes (ISO 639, of two and three letters) of the languages that
need them."""

_TOKENIZERS = {code: tokenizer for tokenizer, codes in _CODES.items() for code in codes}

_UNSPACED_SCRIPTS = re.compile(
    "[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff]"
)
"""Thai, Lao, Tibetan, Burmese, Khmer, kana and Chinese characters."""

_LONGEST_MEAN = 8
"""Characters of these scripts a word: where there are more, spaces do not separate words."""


def base_language(language: str) -> str:
    """What precedes the first hyphen or underscore of a language code, in lower case."""
    return re.split("[-_]", language.lower())[0]


def bleu_tokenizer(language: str) -> str:
    """The tokenizer of sacreBLEU's BLEU for a language code: "13a" for all whose words stand
    between spaces."""
    return _TOKENIZERS.get(base_language(language), "13a")


def spaced(language: str) -> bool:
    """Whether words of a language stand between spaces."""
    return bleu_tokenizer(language) in ("13a", "ko-mecab")


def count_words(text: str, language: str) -> int:
    """How many words a text has: what spaces separate, and characters of a language without
    them."""
    return len(text.split()) if spaced(language) else sum(map(len, text.split()))


def check_language(texts: Sequence[str], language: str) -> None:
    """Makes sure that a language whose texts have no spaces between words is known as such.

    Raises:
        ValueError: it is not: each sentence would be one word, and BLEU 0.
    """
    words = sum(len(text.split()) for text in texts)
    characters = sum(len(_UNSPACED_SCRIPTS.findall(text)) for text in texts)
    if spaced(language) and characters > _LONGEST_MEAN * words:
        known = sorted(code for code in _TOKENIZERS if not spaced(code))
        raise ValueError(
            f"target_language must be one of {known} for text like this. Received: {language!r}."
        )
