"""What presets have in common and what tells them apart."""

from __future__ import annotations

import json

import pytest

from attention_nmt.config import to_json
from training.presets import PRESETS, TrainConfig, summary


def fields(config: TrainConfig) -> dict[str, object]:
    """The settings by their names, those of the model, the batches and the search among them."""
    flat: dict[str, object] = {}
    for name, value in json.loads(to_json(config)).items():
        flat |= value if isinstance(value, dict) else {name: value}
    return flat


@pytest.mark.parametrize("words", [30, 50])
def test_the_models_of_the_article_differ_by_attention_and_words(words: int) -> None:
    """Figure 2 compares them: all else has to be equal."""
    reference = fields(PRESETS["RNNsearch-50"]())
    assert reference["attention"] == "bahdanau"
    assert reference["maximum_words"] == 50
    for name, attention in (("RNNsearch", "bahdanau"), ("RNNencdec", "none")):
        found = fields(PRESETS[f"{name}-{words}"]())
        assert found == reference | {"attention": attention, "maximum_words": words}


SIZES = ("embedding_size", "encoder_units", "decoder_units", "attention_units", "readout_units")


def test_the_last_training_of_the_recipe_is_a_longer_first_one() -> None:
    first = fields(PRESETS["base"]())
    last = fields(PRESETS["multi30k"]())
    assert {name for name in first if first[name] != last[name]} == {"steps", "final_learning_rate"}


def test_the_student_is_smaller_and_trained_longer() -> None:
    """By five eighths of each size."""
    larger = fields(PRESETS["multi30k"]())
    small = fields(PRESETS["student"]())
    changed = {name for name in larger if larger[name] != small[name]}
    assert changed == {*SIZES, "steps", "evaluate_steps"}
    sizes = [
        vars(PRESETS[name]().model)[size] for name in ("multi30k", "student") for size in SIZES
    ]
    assert sizes == [256, 256, 512, 256, 256, 160, 160, 320, 160, 160]


def test_every_preset_has_a_line_of_its_own() -> None:
    lines = [summary(name) for name in PRESETS]
    assert len(set(lines)) == len(PRESETS)
    for line in lines:
        assert line.endswith(".")
