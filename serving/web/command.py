"""Writes a page that translates in the browser: the command `web`."""

from __future__ import annotations

import functools
import http.server
import sys
import tempfile
import threading
import webbrowser
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import Annotated, Literal

from attention_nmt.checks import require
from attention_nmt.command import NO_PREFIX, run_command
from attention_nmt.config import SearchChanges
from attention_nmt.stored import ModelChoice, StoredModel

from ..litert_signatures import signature_of
from ..runtime import check_backend, tensorflow_runtime
from .litert_js import check_runtime

EXAMPLES = 4
"""The number of the model's sample sentences that the page offers."""


@dataclass(frozen=True, kw_only=True)
class WebConfig(ModelChoice):
    """Writes a static folder: a page that translates in the browser and shows what it read.

    No text leaves the browser, and once it has been loaded the page works without a network. Any
    web server serves the folder; from a disk browsers do not open it.

    Attributes:
        output: the folder to write: new, empty, or one of a page, which is replaced.
        lengths: the numbers of pieces for which the model is made: a source has the least that
            holds it, the end symbol included, and one beyond the greatest is cut.
        quantize: `int8` keeps weights in 8 bits, `float16` in 16.
        n_best: the alternatives that are shown, at most as many as the beam has.
        title: of the page; without it the languages.
        examples: sentences that the page offers; without them some samples of the model.
        serve: serve the page on this machine and open it, until Ctrl-C.
        port: to serve it at; 0 takes a free one.
        search: changes of the model's search.

    Raises:
        ValueError: no model is given, or a length below 2.
    """

    output: Path
    lengths: tuple[int, ...] = (16, 32, 64)
    quantize: Literal["none", "float16", "int8"] = "int8"
    n_best: int = 5
    title: str | None = None
    examples: tuple[str, ...] = ()
    serve: bool = False
    port: int = 8000
    search: Annotated[SearchChanges, NO_PREFIX] = field(default_factory=SearchChanges)

    def __post_init__(self) -> None:
        super().__post_init__()
        possible = bool(self.lengths) and all(length >= 2 for length in self.lengths)
        require(possible, "lengths", "at least one, each at least 2", self.lengths)


def write(config: WebConfig) -> None:
    """Writes the page, and prints the size of what a browser loads.

    Raises:
        FileNotFoundError: LiteRT.js or a file of the model is not there.
        ValueError: the backend is not TensorFlow, a setting is outside its range, the model cannot
            be converted, or the output holds something else.
        OSError: a file cannot be read or written.
    """
    check_backend("web")
    check_runtime()
    stored = config.open()
    lengths = sorted(set(config.lengths))
    search = stored.read_search(config.search)
    search = replace(
        search,
        n_best=min(config.n_best, search.beam_size),
        maximum_source_length=lengths[-1],
    )

    with tensorflow_runtime():
        from attention_nmt.translation.translator import Translator

        from .. import litert
        from .site import write_site

        translator = Translator.from_stored(stored, search)
        litert.check_source_tokenizer(translator, "model", "one whose tokenizer is its own")
        with tempfile.TemporaryDirectory() as folder:
            litert.save_lengths_model(translator, folder, lengths)
            signatures = [signature_of(length) for length in lengths]
            model = litert.convert(folder, config.quantize, signatures=signatures)

        about = {
            "title": config.title or _title(stored),
            "source": stored.corpus.get("source"),
            "target": stored.corpus.get("target"),
            "lengths": lengths,
            "examples": list(config.examples or stored.samples[:EXAMPLES]),
        }
        write_site(translator, model, config.output, about=about)
    print(f"{config.output}: a page with a model of {len(model) / 1e6:.1f} MB", flush=True)


def _title(stored: StoredModel) -> str:
    source, target = (stored.corpus.get(name) for name in ("source", "target"))
    return f"Translation from {source} to {target}" if source and target else "Translation"


@contextmanager
def served(folder: Path, port: int = 0) -> Iterator[str]:
    """A block in which the page is served on this machine; gives its address.

    Raises:
        OSError: the port is taken.
    """
    handler = functools.partial(_Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", port), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Serves files and says nothing of it."""

    def log_message(self, *_: object) -> None:
        """Says nothing."""

    def guess_type(self, path: str | PathLike[str]) -> str:
        """The type of a file; what a system says of these two may be what no browser runs."""
        return _TYPES.get(Path(path).suffix) or super().guess_type(path)


_TYPES = {".js": "text/javascript", ".wasm": "application/wasm"}


def act(config: WebConfig) -> None:
    """Writes the page, and serves it if asked to; see `write`."""
    write(config)
    if not config.serve:
        return
    with served(config.output, config.port) as address:
        print(f"{address} (Ctrl-C ends it)", flush=True)
        webbrowser.open(address)
        threading.Event().wait()


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; the exit status is 1 with one line on what is at fault."""
    return run_command(WebConfig, act, arguments, prog="attention-nmt web")


if __name__ == "__main__":
    sys.exit(main())
