"""One vocabulary by another: extended, and taken apart."""

import itertools

import pytest
import sentencepiece

from attention_nmt.data.tokenizer import Tokenizer
from attention_nmt.data.vocabularies import extend, parts
from attention_nmt.types import SPECIAL
from tests.training.corpora import PAIRS

ENGLISH = [source for source, _ in PAIRS]
FRENCH = [target for _, target in PAIRS]
OTHER = ["An ostrich and an elephant are zigzagging in Zürich.", "Elephants zigzag; ostriches do."]


@pytest.fixture(scope="module")
def old() -> Tokenizer:
    return Tokenizer.train(ENGLISH, 290, 1.0)


@pytest.fixture(scope="module")
def new() -> Tokenizer:
    return Tokenizer.train(OTHER * 20, 288, 1.0)


def pieces(tokenizer: Tokenizer) -> list[str]:
    processor = sentencepiece.SentencePieceProcessor(model_proto=tokenizer.model_proto)
    return [processor.id_to_piece(index) for index in range(tokenizer.vocabulary_size)]


def scores(tokenizer: Tokenizer) -> dict[str, float]:
    processor = sentencepiece.SentencePieceProcessor(model_proto=tokenizer.model_proto)
    return {
        processor.id_to_piece(index): processor.get_score(index)
        for index in range(len(SPECIAL) + 256, tokenizer.vocabulary_size)
    }


def test_an_extended_vocabulary_has_the_old_ids_and_the_missing_pieces(
    old: Tokenizer, new: Tokenizer
) -> None:
    extended = extend(old, new)
    before, other, found = pieces(old), pieces(new), pieces(extended)
    assert found[: len(before)] == before
    assert found[len(before) :] == [piece for piece in other if piece not in before]
    assert len(found) == len(set(found))
    assert {**scores(new), **scores(old)} == scores(extended)


def test_an_extended_tokenizer_takes_the_new_pieces_and_keeps_its_spelling(
    old: Tokenizer, new: Tokenizer
) -> None:
    extended = extend(old, new)
    for text in OTHER:
        (ids,) = extended.encode([text])
        assert len(ids) < len(old.encode([text])[0])
        assert extended.decode([ids]) == [text]
        assert extended.tokenize([text.encode()]).to_list() == [ids]  # in a graph of TensorFlow
    assert extended.normalize("e\u0301 m²") == old.normalize("e\u0301 m²") == "é m²"
    nfkc = Tokenizer.train(ENGLISH, 290, 1.0, normalization="nfkc")
    assert extend(nfkc, new).normalize("m²") == "m2"


def test_parts_are_the_likeliest_segmentation_of_a_piece(old: Tokenizer, new: Tokenizer) -> None:
    """By trying all ways to cut it."""
    known, logs = pieces(old), scores(old)
    rarest = min(logs.values()) - 10
    found = parts(old, new)
    assert len(found) == new.vocabulary_size

    tried = 0
    for piece, ids in zip(pieces(new), found, strict=True):
        if piece in known:
            assert ids == [known.index(piece)]
            continue

        ways = []
        for cuts in itertools.product([False, True], repeat=len(piece) - 1):
            bounds = [0, *(i for i, cut in enumerate(cuts, 1) if cut), len(piece)]
            way = [piece[a:b] for a, b in itertools.pairwise(bounds)]
            if all(part in logs or len(part) == 1 for part in way):
                ways.append((sum(logs.get(part, rarest) for part in way), way))
        spelled = [
            part if part in logs else f"<0x{byte:02X}>"
            for part in max(ways)[1]
            for byte in ([0] if part in logs else part.encode())
        ]
        assert [known[index] for index in ids] == spelled
        tried += 1
    assert tried > 10
    assert [known[index] for index in found[pieces(new).index("ü")]] == ["<0xC3>", "<0xBC>"]


def test_special_symbols_and_bytes_are_themselves(old: Tokenizer, new: Tokenizer) -> None:
    count = len(SPECIAL) + 256
    assert parts(old, new)[:count] == [[index] for index in range(count)]
