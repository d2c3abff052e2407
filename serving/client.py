"""Translates through TensorFlow Serving over gRPC: `python -m serving.client "text"`, or standard
input line by line.

Works with the official server and with `serving.server`: the signature `serving_default` takes
`text` [B] strings and gives `translation` [B] strings and `score` [B] floats, and may give
`truncated` [B]. Needs grpcio, protobuf and tyro, and no TensorFlow.
"""

import contextlib
import dataclasses
import itertools
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import grpc
import tyro

from . import lines as files
from . import wire
from .sentences import rejoin, split

# Four attempts within about 2 s: enough for a lost connection, and soon over where no server is.
_RETRIES = {
    "methodConfig": [
        {
            "name": [{"service": "tensorflow.serving.PredictionService"}],
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.25s",
                "maxBackoff": "2s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ],
    # A server whose queue is full answers UNAVAILABLE, too: many failures in a row are not
    # multiplied by retries.
    "retryThrottling": {"maxTokens": 10, "tokenRatio": 0.1},
}
_OPTIONS = [
    ("grpc.service_config", json.dumps(_RETRIES)),
    ("grpc.initial_reconnect_backoff_ms", 250),
    ("grpc.max_reconnect_backoff_ms", 2000),
    ("grpc.max_receive_message_length", 64 * 2**20),  # gRPC's default is 4 MB
]


class ClientTranslation(NamedTuple):
    """One translation.

    Attributes:
        text: The translation.
        score: The score its search ranked it by.
        truncated: Whether the server translated only the beginning of the text, as it does with
        very long ones.
    """

    text: str
    score: float
    truncated: bool = False


class ClientError(RuntimeError):
    """The server could not be reached, refused, or answered with something else than translations.

    Attributes:
        address: Of the server.
        code: The name of the gRPC status, such as "UNAVAILABLE".
    """

    def __init__(self, address: str, code: str, message: str) -> None:
        self.address = address
        self.code = code
        super().__init__(f"{address}: {code}: {message}")


class Client:
    """A connection to a translation server; a context manager, and safe to share between threads.

    Example:
        >>> with Client("localhost:8500") as client:  # doctest: +SKIP
        ...     client.translate(["A dog runs."])
        [ClientTranslation(text='Ein Hund rennt.', score=-0.31)]
    """

    def __init__(
        self,
        address: str,
        name: str = "nmt",
        *,
        timeout_s: float = 60.0,
        batch_size: int = 32,
        tls: bool = False,
        root_certificates: bytes | None = None,
    ) -> None:
        """Connect at the first request.

        Args:
            address: Server as `host:port`.
            name: The model's name there.
            timeout_s: Limit for one request of up to `batch_size` texts, with its retries, in
            seconds. batch_size: Texts in one request at most.
            tls: Encrypt, and check the server's certificate.
            root_certificates: PEM of the authorities to trust with `tls`; gRPC's own list by
            default.

        Raises:
            ValueError: A number out of its range, or certificates without `tls`.
        """
        if not timeout_s > 0:
            raise ValueError(f"timeout_s must be positive. Received: {timeout_s}")
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1. Received: {batch_size}")
        if root_certificates is not None and not tls:
            raise ValueError("root_certificates are used with tls only")
        self.address = address
        self.name = name
        self.timeout_s = timeout_s
        self.batch_size = batch_size
        if tls:
            credentials = grpc.ssl_channel_credentials(root_certificates)
            self._channel = grpc.secure_channel(address, credentials, options=_OPTIONS)
        else:
            self._channel = grpc.insecure_channel(address, options=_OPTIONS)
        self._predict = self._channel.unary_unary(
            wire.PREDICT_METHOD,
            request_serializer=wire.PredictRequest.SerializeToString,
            response_deserializer=wire.PredictResponse.FromString,
        )

    def wait(self, timeout_s: float) -> None:
        """Wait until the server can be reached.

        Raises:
            ClientError: UNAVAILABLE, it could not within `timeout_s` seconds.
        """
        try:
            grpc.channel_ready_future(self._channel).result(timeout=timeout_s)
        except grpc.FutureTimeoutError as error:
            raise ClientError(
                self.address, "UNAVAILABLE", f"no server within {timeout_s:g} s"
            ) from error

    def translate(self, texts: Sequence[str]) -> list[ClientTranslation]:
        """Translate texts, in requests of at most `batch_size` one after another.

        Raises:
            TypeError: `texts` is one string.
            ValueError: A text cannot be written as UTF-8.
            ClientError: The server did not translate them.
        """
        if isinstance(texts, str):
            raise TypeError(
                f"texts must be a sequence of strings. Received one string: {texts[:40]!r}"
            )
        batches = (
            texts[start : start + self.batch_size]
            for start in range(0, len(texts), self.batch_size)
        )
        return [translation for batch in batches for translation in self._translate_batch(batch)]

    def translate_document(self, text: str) -> str:
        """Translate a text sentence by sentence, see `serving.sentences`; white space and line
        breaks stay.

        Raises:
            ValueError: The text cannot be written as UTF-8.
            ClientError: The server did not translate it.
        """
        parts = split(text)
        found = self.translate([part.strip() for part in parts if part.strip()])
        return rejoin(parts, (translation.text for translation in found))

    def _translate_batch(self, texts: Sequence[str]) -> list[ClientTranslation]:
        request = wire.predict_request(self.name, texts)
        try:
            response = self._predict(request, timeout=self.timeout_s)
        except grpc.RpcError as error:
            raise ClientError(self.address, error.code().name, error.details()) from error
        try:
            answers = wire.read_translations(response, len(texts))
        except ValueError as error:
            raise ClientError(self.address, "INTERNAL", str(error)) from error
        return [ClientTranslation(*answer) for answer in answers]

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


@dataclasses.dataclass(frozen=True)
class ClientConfig:
    """What to translate, and where.

    Raises:
        ValueError: Texts together with `input`.
    """

    texts: tyro.conf.Positional[tuple[str, ...]] = ()
    """Texts to translate; none: the lines of `input`."""
    address: str = "localhost:8500"
    """Server as host:port."""
    name: str = "nmt"
    """The model's name there."""
    input: Path | None = None
    """UTF-8 file with one text a line; standard input by default."""
    output: Path | None = None
    """File for the translations, which appears when all are there; standard output by default.
    With an `input` file, the same command goes on with a run that was stopped, whatever version of
    the model is served now."""
    document: bool = False
    """Translate the sentences of a line one by one."""
    timeout_s: float = 60.0
    """Limit for one request, in seconds."""
    batch_size: int = 32
    """Texts in one request."""
    wait_s: float = 0.0
    """Wait so many seconds for the server to be there, such as one that has just been started."""
    tls: bool = False
    """Encrypt, and check the server's certificate."""
    root_certificates: Path | None = None
    """PEM file of the authorities to trust with tls."""

    def __post_init__(self) -> None:
        if self.texts and self.input:
            raise ValueError(
                f"give either texts or input. Received: {len(self.texts)} texts and input {self.input}"
            )


def run(config: ClientConfig) -> None:
    """Translate what `config` names.

    Raises:
        ClientError: The server did not translate it.
        OSError: A file cannot be read or written.
        ValueError: A setting out of its range.
    """
    roots = config.root_certificates.read_bytes() if config.root_certificates else None
    with contextlib.ExitStack() as stack:
        batch_size, source = config.batch_size, None
        if config.texts:
            texts: Iterator[str] = (
                os.fsencode(text).decode("utf-8", "replace") for text in config.texts
            )
        else:
            source = (
                stack.enter_context(config.input.open("rb")) if config.input else sys.stdin.buffer
            )
            texts = files.read_lines(source)
            batch_size = 1 if source.isatty() else batch_size  # someone waits for each answer
        client = stack.enter_context(
            Client(
                config.address,
                config.name,
                timeout_s=config.timeout_s,
                batch_size=batch_size,
                tls=config.tls,
                root_certificates=roots,
            )
        )
        if config.wait_s > 0:
            client.wait(config.wait_s)
        whole = config.input if config.input and config.input.is_file() else None  # and not a pipe
        target = config.output.resolve() if config.output else None  # what a link leads to
        if whole and target and files.is_plain(target):
            task = f"{config.address}\0{config.name}\0{config.document}"
            output, done = stack.enter_context(files.resumed(target, task, whole))
        else:
            output, done = stack.enter_context(files.writer(target)), 0
        translations = files.translate_lines(
            client, itertools.islice(texts, done, None), config.document, done
        )
        if config.output:
            translations = files.with_progress(translations, source if whole else None, done)
        for translation in translations:
            output.write(translation.encode("utf-8") + b"\n")
            output.flush()


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line; the exit status is 1 with one line on standard error when something
    fails."""
    config = tyro.cli(ClientConfig, args=args, prog="python -m serving.client", description=__doc__)
    try:
        run(config)
    except BrokenPipeError:  # the reader of our output has enough, such as `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (ClientError, OSError, ValueError) as error:
        print("error:", *str(error).split(), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
