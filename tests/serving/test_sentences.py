"""Documents to sentences: the rule, case by case, and nothing lost."""

import pytest

from serving.sentences import split

CASES = [
    ("A dog. A cat.", ["A dog. ", "A cat."]),
    ("What? Yes! Well… No.", ["What? ", "Yes! ", "Well… ", "No."]),
    ("He said: “Go.” Then left.", ["He said: “Go.” ", "Then left."]),
    ("(One.) [Two.]  Three", ["(One.) ", "[Two.]  ", "Three"]),
    ("Mr. Smith met J. R. Ewing. Both left.", ["Mr. Smith met J. R. Ewing. ", "Both left."]),
    (
        "Am 3. Mai, z.B. Montag, kam Dr. Braun. Er ging.",
        ["Am 3. Mai, z.B. Montag, kam Dr. Braun. ", "Er ging."],
    ),
    ("It was 1999. Then 3.5 came.", ["It was 1999. ", "Then 3.5 came."]),
    ("yes. no. and so on", ["yes. no. and so on"]),
    ("See example.com. Now.", ["See example.com. Now."]),
    ("犬です。猫です！魚", ["犬です。", "猫です！", "魚"]),
    ("one\ntwo\r\n\n three. Four\n", ["one\n", "two\r\n", "\n", " three. ", "Four\n"]),
    ("", []),
    (" \t", [" \t"]),
    ("...", ["..."]),
]


@pytest.mark.parametrize(("text", "sentences"), CASES)
def test_the_rule(text: str, sentences: list[str]) -> None:
    assert split(text) == sentences
    assert "".join(split(text)) == text


def test_long_text_takes_little_time() -> None:
    """One pass: 200,000 marks in a line."""
    assert len(split("A. " * 200_000)) == 1
    assert len(split("Yes! " * 20_000)) == 20_000
