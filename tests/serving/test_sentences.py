"""Documents to sentences: the rule, case by case, and nothing lost."""

import time

import pytest

from serving.abbreviations import ABBREVIATIONS, BEFORE_NUMBERS, NEVER_LAST, STARTERS
from serving.sentences import rejoin, split

LANGUAGES = {
    "English": [
        ["On Jan. 5 the council met. ", "It voted."],
        ["See No. 5 below. ", "It is short."],
        ["See No. 5. ", "Fig. 2 and vol. II agree. ", "So does ch. G-1."],
        ["He said no. ", "I agreed. ", "In May. ", "Then left."],
        ["A dog. ", "A cat."],
        ["What? ", "Yes! ", "Well… ", "No."],
        ["He said: “Go.” ", "Then left."],
        ["“Go!” he said. ", "She went."],
        ["(One.) ", "[Two.]  ", "Three"],
        ["Mr. Smith met J. R. Ewing. ", "Both left."],
        ["Dr. He met Mrs. In at 5 p.m. and left."],
        ["He left at 5 p.m. ", "The house, in the U.S. Senate’s care, is big."],
        ["World War II. ", "The war was long."],
        ["It was 1999. ", "Then 3.5 came."],
        ["See example.com. ", "Now."],
        ["1. The first point. ", "2. The second."],
        ["yes. no. and so on"],
        ["... And then it rained."],
    ],
    "Spanish": [
        ["Vive en EE. UU. desde 1990. ", "Trabaja allí."],
        ["Los EE. UU. y México firmaron. ", "¿Cuándo? ", "¡Ayer!"],
        ["Está en los EE. UU. ", "El presidente habló. ", "¿y tú?"],
        ["El Sr. García y la Sra. Díaz llegaron el 5 de ene. 2020. ", "Hola."],
        ["Véase la pág. 5 y el núm. 3. ", "Gracias."],
        ["—¡Vete! —dijo él. ", "—No."],
    ],
    "German": [
        ["Am 3. Mai, z.B. Montag, kam Dr. Braun. ", "Er ging."],
        ["Am 3. Mai, z. B. Montag, kam Dipl.-Ing. Braun. ", "Er ging."],
        ["Im II. Weltkrieg fiel die Stadt. ", "Nach Abs. 2 gilt Art. 5. ", "Ende."],
        ["„Geh!“, sagte er. ", "„Ja.“ ", "Sie ging usw. ", "Das war es."],
        ["Er ging. ", "»Komm!« ", "Sie kam."],
    ],
    "French": [
        ["M. Dupont et MM. Durand arrivent. ", "Ils partent."],
        ["« Va ! » dit-il. ", "Elle part."],
        ["« Va. » ", "Puis il partit."],
        ["Né en 50 av. J.-C. à Rome, art. 5. ", "L’homme vint, etc. ", "L’homme partit."],
        ["Bonjour ! ", "Ça va ? ", "Oui."],
    ],
    "Chinese": [
        ["我走了。", "你好吗？", "很好！", "再见。"],
        ["我走了。 ", "你好吗？ ", "好"],
        ["“我走了。”", "他说。"],
        ['他说："我走了。"', '我也走了。"'],
        ["真的吗?", "是的!", "好"],
        ["他问：“好吗？”，然后走了。", "完。"],
        ["我……我不知道。", "算了！！", "约翰.史密斯来了。"],
    ],
    "Japanese": [
        ["犬です。", "猫です！", "魚？", "はい。"],
        ["「行く。」と彼は言った。", "彼女も行く｡", "「はい。」", "犬だ．", "３．５だ。"],
    ],
    "Hindi": [
        ["वह घर गया। ", "वह सो गया।"],
        ["वह घर गया।", "वह सो गया।"],
        ["डॉ. शर्मा आए। ", "ए. पी. जे. अब्दुल कलाम गए। ", "क्या? ", "हाँ।"],
    ],
    "Arabic": [
        ["كيف حالك؟ ", "أنا بخير. ", "شكرا!"],
        ["كيف حالك؟", "أنا بخير."],
        ["جاء د. أحمد إلى البيت. ", "ثم نام."],
    ],
    "Urdu": [
        ["وہ گھر گیا۔ ", "کیا وہ سو گیا؟ ", "ہاں۔"],
        ["وہ گھر گیا۔", "ایم۔اے۔راحت سو گیا۔"],
        ["ایم۔ اے۔ راحت نے لکھا۔ ", "وہ آئی۔ ", "پھر گئی۔"],
    ],
    "Armenian": [
        ["Նա տուն գնաց։ ", "Նա քնեց։"],
        ["Նա տուն գնաց։", "Նա քնեց։"],
        ["Նա տուն գնաց: ", "Ժամը 5:30 էր, ասաց. և նա քնեց:"],
    ],
    "Khmer": [
        ["ខ្ញុំទៅផ្ទះ។ ", "គាត់ដេក។"],
        ["ខ្ញុំទៅផ្ទះ។\u200b", "គាត់ដេក៕"],
        ["ខ្ញុំទិញស្វាយ ចេក ។ល។ និងទៅផ្ទះ។ ", "គាត់ដេក។"],
    ],
    "Amharic": [["ወደ ቤት ሄደ። ", "ተኛ፡፡ ", "ተኛ።"], ["ወደ ቤት ሄደ።", "ተኛ።"]],
    "Burmese": [["သူအိမ်သွားသည်။ ", "သူအိပ်သည်။"]],
    "Greek": [["Πού πας; ", "Στο σπίτι. ", "Ναι; ναι· έρχομαι."]],
    "Georgian": [["ის სახლში წავიდა. ", "მან დაიძინა."]],
    "Korean": [["네. ", "알겠습니다. ", "좋은 곳."]],
    "Russian": [["«Иди!» — сказал он. ", "Ул. Мира, д. 5. ", "Конец."]],
    "lines": [
        ["one\n", "two\r\n", "\n", " three. ", "Four\n"],
        ["one\rtwo\x0bthree\x0cfour\x85five"],
        ["one\u2029", "two\u2028", "three"],
        [],
        [" \t"],
        ["..."],
    ],
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_sentences_of_a_language(language: str) -> None:
    for sentences in LANGUAGES[language]:
        assert split("".join(sentences)) == sentences


def test_translations_take_the_places_of_sentences() -> None:
    text = "One. Two!\n\n  Three?\tFour"
    parts = split(text)
    assert rejoin(parts, (part.strip().upper() for part in parts if part.strip())) == text.upper()


@pytest.mark.parametrize(
    ("text", "translations", "joined"),
    [
        (
            "我走了。你好吗？\n很好！",
            ["I left.", "How are you?", "Fine!"],
            "I left. How are you?\nFine!",
        ),
        ("我走了。“好。”", ["行きました。", "「はい。」"], "行きました。「はい。」"),
        ("वह गया।वह सोया।", ["He left.", ""], "He left. "),
        ("I left. How are you?", ["我走了。", "你好吗？"], "我走了。 你好吗？"),
    ],
)
def test_a_script_without_spaces_becomes_one_with_them(
    text: str, translations: list[str], joined: str
) -> None:
    assert rejoin(split(text), iter(translations)) == joined


def test_abbreviations_are_words_as_the_rule_looks_them_up() -> None:
    """In lower case, without a last period; what never ends a sentence is in no other list."""
    for words in (NEVER_LAST, BEFORE_NUMBERS, ABBREVIATIONS):
        assert all(word == word.lower().strip(".") for word in words)
    assert not NEVER_LAST & (BEFORE_NUMBERS | ABBREVIATIONS)
    assert all(word[0].isupper() for word in STARTERS)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("A. " * 20_000, 1),
        ("Yes! " * 20_000, 20_000),
        ("a." * 20_000, 1),
        ("。，" * 20_000, 1),
        ("?" + ")" * 40_000, 1),
        ("x " * 40_000 + "1. 2", 1),
    ],
)
def test_long_text_takes_little_time(text: str, count: int) -> None:
    """One pass: each mark looks at a part of a line that has a bound."""
    begun = time.monotonic()
    assert len(split(text)) == count
    assert time.monotonic() - begun < 2
