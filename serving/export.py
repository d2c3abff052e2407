"""`python -m serving.export --run-dir RUN --output DIR`: a trained run as a SavedModel, the next version in DIR."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import tensorflow as tf
import tyro

from attention_nmt.config import SearchConfig
from attention_nmt.translator import Translator

TEXT = tf.TensorSpec([None], tf.string, name="text")

MAXIMUM_BATCH = 1024
"""The most texts in one request: with the limit of a text's length it bounds the memory that a request can take."""


@dataclass(frozen=True)
class ExportConfig:
    """What to export and where to.

    Attributes:
        run_dir: a trained run folder.
        output: the folder of the model's versions.
        search: how the endpoint searches; without it as the run did.
    """

    run_dir: Path
    output: Path
    search: SearchConfig | None = None


def serving_function(translator: Translator) -> tf.types.experimental.GenericFunction:
    """`text` `[B]` strings to `translation` `[B]` strings and `score` `[B]`, one graph from string to string."""

    @tf.function(input_signature=[TEXT], autograph=False)
    def serve(text: tf.Tensor) -> dict[str, tf.Tensor]:
        text = tf.ensure_shape(text, [None])
        count = tf.size(text)
        message = f"`text` must have at most {MAXIMUM_BATCH} elements."
        with tf.control_dependencies([tf.debugging.assert_less_equal(count, MAXIMUM_BATCH, message)]):
            # An empty batch gets a blank text, whose translation is cut off again: no search runs over nothing.
            text = tf.concat([text, tf.fill([tf.cast(count == 0, tf.int32)], "")], axis=0)
        translations = translator.translate_tensor(text, alignments=False)
        return {"translation": translations.texts[:count, 0], "score": translations.scores[:count, 0]}

    return serve


def export(translator: Translator, output: Path) -> Path:
    """Writes the translator as the next version of the model in `output`.

    The version appears in one step, under its number, when it is complete: what watches the folder never sees a part.

    Returns:
        The folder of the version.
    """
    output.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=output, prefix=".exporting-"))
    try:
        archive = keras.export.ExportArchive()
        for resource in (translator.model, translator.source_tokenizer.module, translator.target_tokenizer.module):
            archive.track(resource)
        archive.add_endpoint("serve", serving_function(translator))
        # The gradients of the recurrences have no place in an endpoint, and could not be traced without their inputs.
        options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
        archive.write_out(str(temporary / "model"), options=options, verbose=False)
        card = temporary / "model" / "assets.extra" / "model_card.json"
        card.parent.mkdir(exist_ok=True)
        card.write_text(json.dumps({"search": asdict(translator.search)}, indent=2) + "\n")
        version = output / str(_last_version(output) + 1)
        (temporary / "model").rename(version)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return version


def _last_version(output: Path) -> int:
    return max((int(path.name) for path in output.iterdir() if re.fullmatch("[0-9]+", path.name)), default=0)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; 1 with one line on what is at fault."""
    config = tyro.cli(
        ExportConfig,
        prog="serving.export",
        args=arguments,
        config=(tyro.conf.OmitArgPrefixes, tyro.conf.FlagConversionOff),
    )
    try:
        version = export(Translator.from_run(config.run_dir, config.search), config.output)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(version)
    return 0


if __name__ == "__main__":
    sys.exit(main())
