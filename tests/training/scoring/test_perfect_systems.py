"""A system that writes the references themselves scores best: its vocabulary can spell them."""

import pytest

from attention_nmt.data.normalization import Normalization
from attention_nmt.data.tokenizer import Tokenizer
from training.scoring.metrics import corpus_bleu

REFERENCES = {
    "zh": [
        "我想买一件红色的连衣裙，好吗？不行！",
        "真的；他说：“是的”。",
        "（一）第１条，ＡＢ型。",
    ],
    "th": ["ฉันทำงานที่กรุงเทพ", "เขากำลังดื่มน้ำ", "ผู้ใหญ่ทำกุ้งเผา"],
    "fa": ["من می‌خواهم کتاب‌ها را بخوانم", "خانهٔ ما آبی است و می‌رویم", "آن‌ها نمی‌دانند چرا"],
    "fr": [
        "La salle a une surface de 25 m² ½.",
        "C'est le 1º jour : « Vu ! » ™",
        "L'œuvre d'un cœur",
    ],
    "el": ["Ἐν ἀρχῇ ἦν ὁ λόγος, καὶ ὁ λόγος", "τί εἶναι αὐτό; Καλημέρα σας!", "ᾄδω τῷ θεῷ ἐν ᾠδῇ"],
    "hi": ["मैं हिन्दी में लिखता हूँ।", "ज़रूर, यह फ़िल्म अच्छी है।", "सड़क पर पढ़ना मना है।"],
}


def perfect_score(language: str, normalization: Normalization) -> float:
    """BLEU of the references of a language as a tokenizer of all languages can write them."""
    texts = [text for references in REFERENCES.values() for text in references]
    tokenizer = Tokenizer.train(texts * 10, 430, 0.98, normalization)
    written = tokenizer.decode(tokenizer.encode(REFERENCES[language]))
    return corpus_bleu(written, REFERENCES[language], language).value


@pytest.mark.parametrize("language", REFERENCES)
def test_it_scores_best_under_the_default_normalization(language: str) -> None:
    assert perfect_score(language, "nfc") == pytest.approx(100)


@pytest.mark.parametrize(("language", "most"), [("zh", 60), ("th", 90), ("fa", 50), ("fr", 70)])
def test_it_cannot_under_that_of_earlier_tokenizers(language: str, most: float) -> None:
    """Full-width punctuation is ASCII in it, a vowel of Thai two, a non-joiner a space."""
    assert perfect_score(language, "nfkc") < most
