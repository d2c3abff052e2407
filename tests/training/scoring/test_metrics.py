import importlib
from collections.abc import Callable

import pytest
import sacrebleu

from training.scoring.languages import count_words
from training.scoring.metrics import (
    LengthBucket,
    Score,
    bleu_by_length,
    bleu_of_tokens,
    corpus_bleu,
    corpus_scores,
    warn_of_tokens,
)

HYPOTHESES = [
    "The cat sits on the mat.",
    "a dog runs through the green grass",
    "Two men are talking, it seems.",
]
REFERENCES = [
    "The cat sat on the mat.",
    "A dog runs through green grass",
    "Two men talk, it seems to me.",
]


def scores_by_name(
    hypotheses: list[str], references: list[str], language: str
) -> dict[tuple[str, bool], Score]:
    return {
        (score.name, score.lowercased): score
        for score in corpus_scores(hypotheses, references, language)
    }


def test_bleu_and_ter_of_one_wrong_word_by_hand() -> None:
    # n-gram precisions 5/6, 3/5, 2/4, 1/3 and no brevity penalty; one substitution in six words.
    scores = scores_by_name(["the cat sat on the mat"], ["the cat sat on a mat"], "en")
    assert scores["BLEU", False].value == pytest.approx(
        100 * (5 / 6 * 3 / 5 * 2 / 4 * 1 / 3) ** 0.25
    )
    assert scores["TER", False].value == pytest.approx(100 / 6)


def test_scores_equal_sacrebleu() -> None:
    scores = scores_by_name(HYPOTHESES, REFERENCES, "en")
    assert scores["BLEU", False].value == sacrebleu.corpus_bleu(HYPOTHESES, [REFERENCES]).score
    assert (
        scores["BLEU", True].value
        == sacrebleu.corpus_bleu(HYPOTHESES, [REFERENCES], lowercase=True).score
    )
    assert scores["chrF2", False].value == sacrebleu.corpus_chrf(HYPOTHESES, [REFERENCES]).score
    assert (
        scores["TER", False].value
        == sacrebleu.corpus_ter(HYPOTHESES, [REFERENCES], case_sensitive=True).score
    )
    assert scores["TER", True].value == sacrebleu.corpus_ter(HYPOTHESES, [REFERENCES]).score
    assert 0 < scores["BLEU", False].value < scores["BLEU", True].value < 100
    assert corpus_bleu(HYPOTHESES, REFERENCES, "en") == scores["BLEU", False]


@pytest.mark.parametrize("language", ["de", "zh"])
def test_identical_texts_score_best(language: str) -> None:
    scores = corpus_scores(REFERENCES, tuple(REFERENCES), language)
    assert [score.name for score in scores] == ["BLEU", "chrF2", "TER"] * 2
    assert [score.lowercased for score in scores] == [False] * 3 + [True] * 3
    assert [score.value for score in scores] == pytest.approx([100, 100, 0] * 2)


def test_casing_counts_only_in_cased_scores() -> None:
    scores = scores_by_name(["THE CAT SAT ON THE MAT"], ["the cat sat on the mat"], "en")
    assert [scores[name, True].value for name in ("BLEU", "chrF2", "TER")] == pytest.approx(
        [100, 100, 0]
    )
    assert [scores[name, False].value for name in ("BLEU", "chrF2", "TER")] == pytest.approx(
        [0, 0, 100]
    )


def test_signatures() -> None:
    version = f"version:{sacrebleu.__version__}"
    scores = scores_by_name(HYPOTHESES, REFERENCES, "en")
    assert (
        scores["BLEU", False].signature == f"nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|{version}"
    )
    assert scores["BLEU", True].signature == f"nrefs:1|case:lc|eff:no|tok:13a|smooth:exp|{version}"
    assert (
        scores["chrF2", False].signature
        == f"nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|{version}"
    )
    assert (
        scores["TER", False].signature
        == f"nrefs:1|case:mixed|tok:tercom|norm:no|punct:yes|asian:no|{version}"
    )


def test_score_prints_two_decimals_and_its_signature() -> None:
    score = Score(name="BLEU", value=34.1234, signature="nrefs:1|case:mixed", lowercased=False)
    assert str(score) == "BLEU 34.12  nrefs:1|case:mixed"


@pytest.mark.parametrize("language", ["zh", "zh-CN", "ZH_tw", "cmn", "zho"])
def test_chinese_is_scored_in_characters(language: str) -> None:
    # Six characters, the second one wrong.
    scores = scores_by_name(["猫坐在垫子上"], ["猫躺在垫子上"], language)
    assert "tok:zh" in scores["BLEU", False].signature
    assert scores["BLEU", False].value == pytest.approx(
        100 * (5 / 6 * 3 / 5 * 2 / 4 * 1 / 3) ** 0.25
    )
    assert scores["TER", False].value == pytest.approx(100 / 6)


def test_thai_is_scored_in_characters_and_has_no_ter() -> None:
    # Ten characters, the fifth one wrong.
    scores = scores_by_name(["แมวนกบนเสื่"], ["แมวนอบนเสื่"], "th")
    assert sorted({name for name, _ in scores}) == ["BLEU", "chrF2"]
    assert "tok:char" in scores["BLEU", False].signature
    expected = 100 * (10 / 11 * 8 / 10 * 6 / 9 * 4 / 8) ** 0.25
    assert scores["BLEU", False].value == pytest.approx(expected)


@pytest.mark.parametrize("language", ["chinese", "en"])
def test_a_language_with_spaces_is_refused_for_text_without(language: str) -> None:
    references = ["猫躺在垫子上看着窗外的鸟", "猫和狗在花园里一起玩"]
    for score in (corpus_scores, corpus_bleu):
        with pytest.raises(
            ValueError, match=rf"`target_language` must be one of .*'zh'.* Received: '{language}'"
        ):
            score(references, references, language)
    assert corpus_bleu(["a 猫", "b"], ["a 猫", "b"], language).signature.count("tok:13a") == 1


@pytest.mark.parametrize(
    ("text", "language", "words"), [("a red cat", "en", 3), ("猫 躺在", "zh", 3), ("a b", "ko", 2)]
)
def test_words_are_counted_by_spaces_or_characters(text: str, language: str, words: int) -> None:
    assert count_words(text, language) == words


@pytest.mark.parametrize(("language", "extra"), [("ja", "ja"), ("ko", "ko"), ("jpn", "ja")])
def test_missing_segmenter_names_what_to_install(
    monkeypatch: pytest.MonkeyPatch, language: str, extra: str
) -> None:
    tokenizer = importlib.import_module(f"sacrebleu.tokenizers.tokenizer_{extra}_mecab")
    monkeypatch.setattr(tokenizer, "MeCab", None)
    with pytest.raises(ImportError, match=rf"'sacrebleu\[{extra}\]'"):
        corpus_bleu(["a"], ["a"], language)


@pytest.mark.parametrize("score", [corpus_scores, corpus_bleu])
def test_scores_refuse_unequal_and_empty(
    score: Callable[[list[str], list[str], str], object],
) -> None:
    with pytest.raises(
        ValueError, match=r"`hypotheses` must be as many as references \(2\)\. Received: 1\."
    ):
        score(["a"], ["a", "b"], "en")
    with pytest.raises(ValueError, match=r"of at least one sentence. Received: 0"):
        score([], [], "en")


def test_bleu_by_length_groups_by_inclusive_upper_edge() -> None:
    buckets = bleu_by_length(
        [*HYPOTHESES, "x"],
        [*REFERENCES, "x"],
        source_lengths=[10, 11, 50, 1],
        edges=[10, 20, 30],
        target_language="en",
    )
    assert buckets == [
        LengthBucket(0, 10, 2, corpus_bleu([HYPOTHESES[0], "x"], [REFERENCES[0], "x"], "en").value),
        LengthBucket(11, 20, 1, corpus_bleu(HYPOTHESES[1:2], REFERENCES[1:2], "en").value),
        LengthBucket(31, None, 1, corpus_bleu(HYPOTHESES[2:], REFERENCES[2:], "en").value),
    ]
    assert len({bucket.bleu for bucket in buckets}) == 3


def test_bleu_by_length_refuses_bad_lengths_and_edges() -> None:
    def scored(lengths: list[int], edges: list[int]) -> list[LengthBucket]:
        return bleu_by_length(
            HYPOTHESES,
            REFERENCES,
            source_lengths=lengths,
            edges=edges,
            target_language="en",
        )

    with pytest.raises(
        ValueError, match=r"`source_lengths` must be as many as hypotheses \(3\)\. Received: 2\."
    ):
        scored([1, 2], [10])
    for edges in ([], [10, 10], [20, 10], [0, 10]):
        with pytest.raises(ValueError, match="`edges` must be positive and ascending"):
            scored([1, 2, 3], edges)


@pytest.mark.parametrize(
    ("tokenized", "plain", "warned"),
    [(0, 0, False), (99, 900, False), (100, 9_900, True), (2, 1, True), (1, 1, False)],
)
def test_tokenized_texts_are_warned_of_in_one_line(
    tokenized: int, plain: int, warned: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    warn_of_tokens(["a dog ."] * tokenized + ["a dog."] * plain, "file")
    said = capsys.readouterr().err
    assert said.count("\n") == int(warned)
    assert said.startswith(f"warning: file: {tokenized} of ") == warned


def test_bleu_of_given_tokens_by_hand() -> None:
    """Of five tokens four are right, of four bigrams three, and so on; 13a would cut "d,e"."""
    found = bleu_of_tokens(["a b c d,e ."], ["a b c d,e !"])
    assert found.value == pytest.approx(100 * (4 / 5 * 3 / 4 * 2 / 3 * 1 / 2) ** (1 / 4))
    assert found.name == "BLEU of the given tokens"
    assert "case:mixed" in found.signature
    assert "tok:none" in found.signature
    assert found.value != pytest.approx(corpus_bleu(["a b c d,e ."], ["a b c d,e !"], "en").value)
