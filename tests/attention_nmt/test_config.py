"""Configs say what is wrong with them, and survive JSON; files are written whole or not at all."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from attention_nmt.config import (
    CellConfig,
    ModelConfig,
    SamplingChanges,
    SearchChanges,
    SearchConfig,
    from_dict,
    to_json,
)
from attention_nmt.data.batches import BatchConfig
from attention_nmt.layers.cells import make_cell
from attention_nmt.run_folder import RunFolder

WRONG_MODELS: list[tuple[str, Any, str]] = [
    ("embedding_size", 0, "an integer of at least 1"),
    ("decoder_units", 2.5, "an integer of at least 1"),
    ("source_vocabulary_size", -3, "an integer of at least 1"),
    ("readout_dropout", 1.0, "in [0, 1)"),
    ("source_word_dropout", -0.1, "in [0, 1)"),
    ("embedding_dropout", float("nan"), "in [0, 1)"),
    ("attention", "dot", "one of ('bahdanau', 'luong_dot', 'luong_general', 'none')"),
    ("cell", "rnn", "a CellConfig"),
    ("decoder_layers", 0, "an integer of at least 1"),
    ("query", "next", "'previous' or 'current'"),
]
WRONG_SEARCHES: list[tuple[str, Any, str]] = [
    ("beam_size", 0, "at least 1"),
    ("length_penalty", -1.0, "at least 0"),
    ("coverage_penalty", -0.1, "at least 0"),
    ("temperature", -1, "at least 0"),
    ("temperature", 1e-5, "0 or at least 0.001"),
    ("sampling_seed", 2**15, "from 0 to 32767"),
    ("n_best", 6, "from 1 to beam_size=5"),
    ("n_best", 0, "from 1 to beam_size=5"),
    ("maximum_length_ratio", -0.5, "at least 0"),
    ("maximum_length_ratio", float("inf"), "a finite number"),
    ("beam_size", 2.0, "an integer"),
    ("sampling_seed", 1.5, "an integer"),
    ("maximum_length_extra", 0, "at least 1"),
    ("maximum_source_length", 1, "at least 2"),
]
WRONG_BATCHES: list[tuple[str, Any, str]] = [
    ("batch_size", 0, "at least 1"),
    ("batch_unit", "words", "'sentences' or 'tokens'"),
    ("maximum_length", 1, "at least 2"),
    ("maximum_words", -1, "at least 0"),
    ("maximum_ratio", 0.9, "at least 1"),
    ("buckets", 0, "at least 1"),
    ("shuffle_pairs", 0, "at least 1"),
    ("sampling_alpha", -0.1, "at least 0"),
    ("sampled_sides", "target", "'source' or 'both'"),
    ("joined_pairs", 0, "at least 1"),
]
WRONG = [
    *((ModelConfig, *case) for case in WRONG_MODELS),
    *((SearchConfig, *case) for case in WRONG_SEARCHES),
    *((BatchConfig, *case) for case in WRONG_BATCHES),
]


@pytest.mark.parametrize(("cls", "field", "value", "expected"), WRONG)
def test_an_error_names_field_expectation_and_value(
    cls: type, field: str, value: Any, expected: str
) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole message is compared
        cls(**{field: value})
    assert str(caught.value) == f"`{field}` must be {expected}. Received: {value!r}."


def test_tied_sizes_must_agree() -> None:
    with pytest.raises(
        ValueError, match=r"`readout_units` must be embedding_size=256 when `tie_output`.* 128\."
    ):
        ModelConfig(tie_output=True, readout_units=128)
    with pytest.raises(
        ValueError, match=r"`target_vocabulary_size` must be source_vocabulary_size=4000 .* 50\."
    ):
        ModelConfig(tie_source=True, target_vocabulary_size=50)


def test_options_must_go_together() -> None:
    with pytest.raises(
        ValueError, match=r"`query` must be 'previous' without attention. Received: 'current'"
    ):
        ModelConfig(attention="none", query="current")
    with pytest.raises(
        ValueError, match=r"`query` must be 'current' with `input_feeding`. Received: 'previous'"
    ):
        ModelConfig(input_feeding=True)
    for options in ({"attention": "luong_general"}, {"query": "current"}, {"attention": "none"}):
        with pytest.raises(
            ValueError,
            match="`word_query` must be False without Bahdanau's attention by the previous",
        ):
            ModelConfig(word_query=True, **options)  # type: ignore[arg-type]
    with pytest.raises(
        ValueError, match=r"`decoder_units` must be 256, twice the encoder_units=128, .* 512"
    ):
        ModelConfig(attention="luong_dot", encoder_units=128)
    with pytest.raises(
        ValueError, match=r"`kind` must be one of the cells \['gru', 'lstm'.* 'rnn'"
    ):
        make_cell(CellConfig(kind="rnn"))
    with pytest.raises(
        ValueError, match=r"`reset_after` must be True with an LSTM\. Received: False"
    ):
        CellConfig(kind="lstm", reset_after=False)
    with pytest.raises(
        ValueError, match=r"`coverage_penalty` must be 0 with a temperature\. Received: 0\.2"
    ):
        SearchConfig(coverage_penalty=0.2, temperature=1)


@pytest.mark.parametrize(
    "config",
    [
        ModelConfig(attention="none", cell=CellConfig(reset_after=False), readout_dropout=0.25),
        SearchConfig(beam_size=7, n_best=3, length_penalty=0.6),
        BatchConfig(batch_unit="tokens", sampling_alpha=0.2),
    ],
    ids=lambda config: type(config).__name__,
)
def test_json_round_trip(config: Any) -> None:
    text = to_json(config)
    assert from_dict(type(config), json.loads(text)) == config
    assert text.endswith("}\n")
    assert set(json.loads(text)) == {field.name for field in dataclasses.fields(config)}


def test_a_cell_of_an_older_file() -> None:
    """It was three fields of the model."""
    older = {"decoder_units": 7, "cell": "gru", "reset_after": False, "layer_normalization": True}
    cell = CellConfig(reset_after=False, layer_normalization=True)
    assert from_dict(ModelConfig, older) == ModelConfig(decoder_units=7, cell=cell)
    assert from_dict(ModelConfig, {"cell": "lstm"}) == ModelConfig(cell=CellConfig(kind="lstm"))


def test_changes_of_a_search() -> None:
    changes = SearchChanges(beam_size=3, length_penalty=0.0)
    assert changes.given() == {"beam_size": 3, "length_penalty": 0.0}
    search = SearchConfig(beam_size=7, n_best=2, lookahead=9)
    expected = SearchConfig(beam_size=3, n_best=1, length_penalty=0.0, lookahead=9)
    assert changes.apply(search, n_best=1) == expected
    with pytest.raises(ValueError, match="`n_best` must be from 1 to beam_size=3"):
        changes.apply(SearchConfig(beam_size=7, n_best=5))


def test_changes_that_draw_leave_the_beam() -> None:
    of_beam = SearchConfig(beam_size=5, coverage_penalty=0.2)
    one = SearchConfig(beam_size=1, temperature=0.8)
    assert SamplingChanges(temperature=0.8).apply(of_beam) == one
    of_three = SamplingChanges(temperature=0.8, beam_size=3, sampling_seed=2)
    three = SearchConfig(beam_size=3, temperature=0.8, sampling_seed=2)
    assert of_three.apply(of_beam) == three
    assert SamplingChanges(temperature=0.0).apply(of_beam) == of_beam
    assert SamplingChanges().given() == {}
    with pytest.raises(ValueError, match="`coverage_penalty` must be 0 with a temperature"):
        SamplingChanges(temperature=0.8, coverage_penalty=0.2).apply(of_beam)
    with pytest.raises(ValueError, match="`sampling_seed` must be given with a temperature"):
        SamplingChanges(sampling_seed=2).apply(of_beam)
    of_run = SearchConfig(beam_size=1, temperature=0.5)
    assert SamplingChanges(sampling_seed=2).apply(of_run).sampling_seed == 2


def test_unknown_fields_are_named() -> None:
    with pytest.raises(
        ValueError,
        match=r"`search` must be of the fields \['beam_size'.*Received: \['beam', 'width'\]",
    ):
        from_dict(SearchConfig, {"beam_size": 3, "width": 2, "beam": 1}, "search")


def test_values_from_json_are_validated() -> None:
    with pytest.raises(ValueError, match="`beam_size` must be at least 1"):
        from_dict(SearchConfig, {"beam_size": 0})


def test_configs_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        SearchConfig().beam_size = 3  # type: ignore[misc]


def test_run_folder(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"is not a run folder: it has no config\.json"):
        run.read_config()
    run.config.write_text('{"model": {"cell": "gru"}}')
    assert run.read_config() == {"model": {"cell": "gru"}}
    paths = (run.config, run.source_tokenizer, run.target_tokenizer, run.best, run.checkpoint)
    names = [
        "config.json",
        "tokenizer.model",
        "tokenizer.target.model",
        "best.keras",
        "checkpoint.npz",
    ]
    assert [path.name for path in paths] == names
