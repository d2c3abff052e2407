"""Lines and sentences of any text: none is lost, none is made, and all readers agree."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attention_nmt.text_files import iterate_lines, raw_lines
from serving.client import ClientTranslation
from serving.lines import translate_lines
from serving.sentences import rejoin, split
from training.data import Corpus
from training.scoring.hypotheses import read_hypotheses, write_hypotheses

ALPHABET = "aB .!?…,;:\"'”»«(1I\r\n\t\ufeff\u2028\u0085\u000b\u200b。！「」と。।؟۔։។ល我あ가"

mixed = st.text(st.sampled_from(ALPHABET), max_size=40)
anything = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
texts = st.one_of(mixed, anything)


@given(text=texts)
def test_sentences_are_the_text(text: str) -> None:
    parts = split(text)
    assert "".join(parts) == text
    assert all(parts)
    words = [part.strip() for part in parts if part.strip()]
    assert "".join(rejoin(parts, iter(words)).split()) == "".join(text.split())


@given(content=st.one_of(st.binary(max_size=30), texts.map(str.encode)))
def test_bytes_are_lines_or_refused(content: bytes) -> None:
    lines = list(raw_lines(io.BytesIO(content)))
    assert not any(b"\n" in line for line in lines)
    try:
        content.decode()
        text = b"\0" not in content
    except UnicodeDecodeError:
        text = False

    if text:
        decoded = list(iterate_lines(io.BytesIO(content), "file"))
        assert [line.encode() for line in decoded] == lines
    else:
        with pytest.raises(ValueError, match=r"^file, line \d+, byte \d+: expected UTF-8"):
            list(iterate_lines(io.BytesIO(content), "file"))


@given(lines=st.lists(texts.map(lambda text: text.replace("\n", " ")), max_size=5))
def test_a_file_of_lines_gives_as_many_translations(lines: list[str]) -> None:
    content = "".join(f"{line}\n" for line in lines).encode()
    for document in (False, True):
        read = iterate_lines(io.BytesIO(content), "file")
        translated = translate_lines(
            read,
            lambda batch: [ClientTranslation(f"{text}\r\n{text}", 0.0) for text in batch],
            batch_size=2,
            document=document,
        )
        written = "".join(f"{line}\n" for line in translated).encode()
        assert len(list(raw_lines(io.BytesIO(written)))) == len(lines)


@settings(max_examples=10)
@given(pairs=st.lists(st.tuples(texts, texts), min_size=1, max_size=4))
def test_training_and_evaluation_read_what_was_written(
    pairs: list[tuple[str, str]], tmp_path: Path
) -> None:
    """Both sides by their own writer and readers; the same lines, in the same number."""
    for side, language in enumerate(("en", "fr")):
        write_hypotheses(tmp_path / f"{language}.val.txt", [pair[side] for pair in pairs])
    found = Corpus(str(tmp_path), "en", "fr").texts("val")
    for language, texts_of_side in zip(("en", "fr"), found, strict=True):
        path = tmp_path / f"{language}.val.txt"
        assert read_hypotheses(path, len(pairs)) == texts_of_side
