"""What LiteRT's tokenizer makes of a text, which it normalizes by the rules in the tokenizer."""

from __future__ import annotations

import random
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_text as tf_text

from attention_nmt.data import normalization
from attention_nmt.data.normalization import NORMALIZATIONS, Normalization, Spellings
from attention_nmt.data.tokenizer import Tokenizer
from serving import litert_runtime
from serving.litert import TEXT_OPERATIONS, custom_operations
from serving.litert_signatures import SIGNATURE

SENTENCES = [
    "Crème brûlée, l'œuvre d'Ångström: « ¿Mañana? » 1º, m².",
    "Tôi muốn mua một chiếc váy đỏ ở chợ Bến Thành.",
    "Ἐν ἀρχῇ ἦν ὁ λόγος, ᾄδω τῷ θεῷ; Καλημέρα!",
    "ฉันทำงานที่กรุงเทพฯ น้ำ กุ้งเผา",
    "من می‌خواهم کتاب‌ها را بخوانم؛ مُحَمَّد؟",
    "ज़रूर, फ़िल्म और क़लम, सड़क पढ़ना क्‍ष।",
    "나는 빨간 드레스를 사고 싶습니다.",
    "我想买一件红色的连衣裙，好吗？不行！",
    "ガギグゲゴ、パピプペポ！ヴァイオリン？",
]


def tokenizing_model(tokenizer: Tokenizer, folder: Path) -> bytes:
    """A LiteRT model from a text `[1]` to its ids, by the operation of the text-to-text models."""
    fast = tf_text.FastSentencepieceTokenizer(tokenizer.model_proto)

    @tf.function(input_signature=[tf.TensorSpec([1], tf.string, name="text")], autograph=False)
    def tokenize(text: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"ids": fast.tokenize(text).flat_values}

    module = tf.Module()
    module.tokenize = tokenize
    signatures = {SIGNATURE: tokenize.get_concrete_function()}
    tf.saved_model.save(module, str(folder), signatures)

    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder), signature_keys=[SIGNATURE])
    converter.allow_custom_ops = True
    return converter.convert()


@pytest.mark.parametrize("name", NORMALIZATIONS)
def test_any_spelling_has_the_pieces_that_it_has_on_a_server(
    name: Normalization, tmp_path: Path
) -> None:
    """And the table's share of the file is not larger than in the tokenizer's own."""
    tokenizer = Tokenizer.train(SENTENCES * 20, 444, 1.0, name)
    model = tokenizing_model(tokenizer, tmp_path)
    assert custom_operations(model) <= TEXT_OPERATIONS
    assert len(model) < len(tokenizer.model_proto) + 5000

    spellings = Spellings(normalization._decompositions())
    generator = random.Random(1)
    texts = list(SENTENCES)
    if name == "nfc":
        for text in SENTENCES:
            drawn = [generator.choice(sorted(spellings.of(letter))) for letter in text]
            texts += [unicodedata.normalize("NFD", text), "".join(drawn), f"\ufeff{text}\u00ad\t "]

    runner = litert_runtime.interpreter(model).get_signature_runner(SIGNATURE)
    for text, ids in zip(texts, tokenizer.encode(texts), strict=True):
        found = runner(text=np.array([text.encode()], object))["ids"]
        assert found.tolist() == ids, ascii(text)
