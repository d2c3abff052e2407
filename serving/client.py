"""Translates through TensorFlow Serving over gRPC: the class `Client`, and the command `client`.

Works with the official server and with `server`: the signature `serving_default` takes `text` [B]
strings and gives `translation` [B] strings and `score` [B] floats, and may give `truncated` [B].
Needs grpcio, protobuf and tyro, and no TensorFlow.
"""

from __future__ import annotations

import ipaddress
import json
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Annotated, NamedTuple, Self

import grpc

from attention_nmt.checks import require
from attention_nmt.command import NO_PREFIX, run_command
from attention_nmt.data.limits import cut_text

from . import wire
from .job import JobConfig, open_source, write_translations
from .lines import LineTranslation, RefusedText
from .sentences import rejoin, split

# Four attempts within about 2 s: enough for a lost connection, and soon over if there is no server.
_RETRIES = {
    "methodConfig": [
        {
            "name": [{"service": "tensorflow.serving.PredictionService"}],
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.25s",
                "maxBackoff": "2s",
                "backoffMultiplier": 2,
                # The second is what the local server answers when too many requests wait.
                "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"],
            },
        }
    ],
    # A server whose queue is full answers UNAVAILABLE, too: many failures in a row are not
    # multiplied by retries.
    "retryThrottling": {"maxTokens": 10, "tokenRatio": 0.1},
}
_OPTIONS: list[tuple[str, str | int]] = [
    ("grpc.service_config", json.dumps(_RETRIES)),
    ("grpc.initial_reconnect_backoff_ms", 250),
    ("grpc.max_reconnect_backoff_ms", 2000),
    ("grpc.max_receive_message_length", 64 * 2**20),  # gRPC's default is 4 MB
]

MAXIMUM_REQUEST_BYTES = 2**21
"""The most bytes of texts in one request: servers take messages of 4 MiB, unless told otherwise."""

PROBE = "a"
"""A text that no server refuses, if it answers at all."""


class ClientTranslation(NamedTuple):
    """One translation.

    Attributes:
        text: the translation.
        score: the score that its search ranked it by.
        truncated: the server translated only the beginning of the text, as it does with very long
            ones.
    """

    text: str
    score: float
    truncated: bool = False


class ClientError(RuntimeError):
    """The server could not be reached, refused, or answered with something else.

    Attributes:
        address: of the server.
        code: the name of the gRPC status, such as "UNAVAILABLE".
        message: what the server says.
    """

    def __init__(self, address: str, code: str, message: str) -> None:
        self.address = address
        self.code = code
        self.message = message
        super().__init__(f"{address}: {code}: {message}")

    @property
    def may_be_of_a_text(self) -> bool:
        """A text may be at fault, and not the connection, the model or the load."""
        too_large = self.code == "RESOURCE_EXHAUSTED" and "larger than max" in self.message
        return too_large or self.code in ("INVALID_ARGUMENT", "OUT_OF_RANGE")


class Client:
    """A connection to a translation server; a context manager, and safe to share between threads.

    It connects at the first request, to this machine itself without the proxy that `http_proxy`
    names.

    Args:
        address: the server as `host:port`.
        name: the model's name there.
        timeout_s: the limit for one request of up to `batch_size` texts, with its retries, in
            seconds.
        batch_size: the most texts in one request.
        tls: encrypt, and check the server's certificate.
        root_certificates: PEM of the authorities to trust with `tls`; gRPC's own list by default.

    Attributes:
        address: the server as `host:port`.
        name: the model's name there.
        timeout_s: the limit for one request, in seconds.
        batch_size: the most texts in one request.

    Raises:
        ValueError: a number out of its range, or certificates without `tls`.

    Example:

    ```python
    with Client("localhost:8500") as client:
        print(client.translate(["A dog runs."])[0].text)
    ```
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
        require(timeout_s > 0, "timeout_s", "positive", timeout_s)
        require(batch_size >= 1, "batch_size", "at least 1", batch_size)
        usable = root_certificates is None or tls
        require(usable, "root_certificates", "left out without `tls`", root_certificates)
        self.address = address
        self.name = name
        self.timeout_s = timeout_s
        self.batch_size = batch_size

        options = list(_OPTIONS)
        if is_loopback(address):
            options.append(("grpc.enable_http_proxy", 0))
        if tls:
            credentials = grpc.ssl_channel_credentials(root_certificates)
            self._channel = grpc.secure_channel(address, credentials, options=options)
        else:
            self._channel = grpc.insecure_channel(address, options=options)
        self._predict = self._channel.unary_unary(
            wire.PREDICT_METHOD,
            request_serializer=wire.PredictRequest.SerializeToString,
            response_deserializer=wire.PredictResponse.FromString,
        )

    def wait(self, timeout_s: float) -> None:
        """Waits until the server can be reached.

        Args:
            timeout_s: the longest time to wait, in seconds.

        Raises:
            ClientError: UNAVAILABLE, it could not be reached within that time.
        """
        try:
            grpc.channel_ready_future(self._channel).result(timeout=timeout_s)
        except grpc.FutureTimeoutError as error:
            message = f"no server within {timeout_s:g} s"
            raise ClientError(self.address, "UNAVAILABLE", message) from error

    def translate(self, texts: Sequence[str]) -> list[ClientTranslation]:
        """Translates texts, in requests of at most `batch_size` one after another.

        A text is cut at 64 KiB, as servers cut it.

        Raises:
            TypeError: `texts` is one string, or an element is no string.
            ValueError: a text cannot be written as UTF-8.
            ClientError: the server did not translate them.
        """
        if isinstance(texts, str):
            received = f"one string: {texts[:40]!r}"
            raise TypeError(f"`texts` must be a sequence of strings. Received {received}")

        translations = []
        for batch in self._batches(texts):
            translations += self._translate_batch(batch)
        return translations

    def translate_document(self, text: str) -> str:
        """Translates a text sentence by sentence, see `sentences`.

        White space and line breaks stay.

        Raises:
            ValueError: the text cannot be written as UTF-8.
            ClientError: the server did not translate it.
        """
        parts = split(text)
        found = self.translate([part.strip() for part in parts if part.strip()])
        return rejoin(parts, (translation.text for translation in found))

    def _batches(self, texts: Sequence[str]) -> Iterator[list[_CutText]]:
        """Yields the texts of each request."""
        batch: list[_CutText] = []
        size = 0
        for index, text in enumerate(texts):
            if not isinstance(text, str):
                raise TypeError(f"`texts[{index}]` must be a string. Received: {text!r}.")

            encoded = text.encode("utf-8")
            cut = cut_text(encoded)
            is_full = len(batch) == self.batch_size or size + len(cut) > MAXIMUM_REQUEST_BYTES
            if batch and is_full:
                yield batch
                batch = []
                size = 0
            batch.append(_CutText(cut, truncated=len(cut) < len(encoded)))
            size += len(cut)
        if batch:
            yield batch

    def _translate_batch(self, batch: Sequence[_CutText]) -> list[ClientTranslation]:
        request = wire.predict_request(self.name, [cut.text for cut in batch])
        try:
            response = self._predict(request, timeout=self.timeout_s)
        except grpc.RpcError as error:
            raise ClientError(self.address, error.code().name, error.details()) from error
        try:
            answers = wire.read_translations(response, len(batch))
        except ValueError as error:
            raise ClientError(self.address, "INTERNAL", str(error)) from error

        found = []
        for cut, answer in zip(batch, answers, strict=True):
            truncated = answer.truncated or cut.truncated
            found.append(ClientTranslation(answer.text, answer.score, truncated))
        return found

    def close(self) -> None:
        """Closes the connection."""
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


class _CutText(NamedTuple):
    """A text as it is sent."""

    text: bytes
    truncated: bool


def is_loopback(address: str) -> bool:
    """The address of a server is on this machine, as far as its name tells.

    Args:
        address: `host:port`, also with one of gRPC's schemes, such as `dns:///host:port`.
    """
    target = re.sub(r"^(dns|ipv4|ipv6):(//[^/]*/)?", "", address)
    match = re.match(r"\[([^]]*)\]|([^:]*)", target)
    assert match is not None, "it may match nothing"
    host = match[1] or match[2] or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True

    try:
        number = ipaddress.ip_address(host)
    except ValueError:
        return False
    return number.is_loopback or number.is_unspecified


def translate_accepted(client: Client, texts: Sequence[str]) -> list[LineTranslation]:
    """Translates texts; one that the server refuses is a `RefusedText`, and the others are not.

    Raises:
        ClientError: the server refuses a text without a fault, too, or cannot be reached.
    """
    try:
        return list(client.translate(texts))
    except ClientError as error:
        if not error.may_be_of_a_text:
            raise
        if len(texts) == 1:
            client.translate([PROBE])
            return [RefusedText(f"{error.code}: {error.message}")]

    half = len(texts) // 2
    first = translate_accepted(client, texts[:half])
    return first + translate_accepted(client, texts[half:])


@dataclass(frozen=True, kw_only=True)
class ClientConfig:
    """Translates texts, a file or standard input through a server.

    A file that was translated in part is gone on with, whatever version of the model is served now.

    Attributes:
        job: the texts, and where their translations go.
        address: the server as host:port.
        name: the model's name there.
        timeout_s: the limit for one request, in seconds.
        batch_size: the most texts in one request.
        wait_s: the time to wait for a server that has just been started, in seconds.
        tls: encrypt, and check the server's certificate.
        root_certificates: a PEM file of the authorities to trust with tls.

    Raises:
        ValueError: a number out of its range, certificates without tls, or texts together with an
            input.
    """

    job: Annotated[JobConfig, NO_PREFIX] = field(default_factory=JobConfig)
    address: str = "localhost:8500"
    name: str = "nmt"
    timeout_s: float = 60.0
    batch_size: int = 32
    wait_s: float = 0.0
    tls: bool = False
    root_certificates: Path | None = None

    def __post_init__(self) -> None:
        require(self.timeout_s > 0, "timeout_s", "positive", self.timeout_s)
        require(self.batch_size >= 1, "batch_size", "at least 1", self.batch_size)
        require(self.wait_s >= 0, "wait_s", "at least 0", self.wait_s)
        usable = self.root_certificates is None or self.tls
        expected = "left out without `tls`"
        require(usable, "root_certificates", expected, str(self.root_certificates))

    def connect(self) -> Client:
        """Makes the client.

        Raises:
            OSError: the certificates cannot be read.
        """
        certificates = self.root_certificates
        return Client(
            self.address,
            self.name,
            timeout_s=self.timeout_s,
            batch_size=self.batch_size,
            tls=self.tls,
            root_certificates=certificates.read_bytes() if certificates else None,
        )


def run(config: ClientConfig) -> None:
    """Translates what a config names.

    Raises:
        OSError: a file cannot be read or written, or the server did not translate it, or not all of
            its texts; the others' lines are written then.
    """
    refused = 0
    try:
        with open_source(config.job) as source, config.connect() as client:
            if config.wait_s > 0:
                client.wait(config.wait_s)

            def translate(texts: list[str]) -> list[LineTranslation]:
                nonlocal refused
                found = translate_accepted(client, texts)
                refused += sum(isinstance(translation, RefusedText) for translation in found)
                return found

            write_translations(
                config.job,
                source,
                translate,
                batch_size=config.batch_size,
                task=f"{config.address}\0{config.name}\0{config.job.document}",
            )
    except ClientError as error:
        raise OSError(str(error)) from error
    if refused:
        fault = f"{config.address}: the server refused {refused} of the texts"
        raise OSError(f"{fault}: their translations are empty")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; the exit status is 1 with one line on what is at fault."""
    return run_command(ClientConfig, run, arguments, prog="attention-nmt client")


if __name__ == "__main__":
    sys.exit(main())
