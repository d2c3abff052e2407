"""Translates through TensorFlow Serving over gRPC: the class `Client`, and the command `client`.

Works with the official server and with `server`: the signature `serving_default` takes `text` [B]
strings and gives `translation` [B] strings and `score` [B] floats, and may give `truncated` [B].
Needs grpcio, protobuf and tyro, and no TensorFlow.
"""

from __future__ import annotations

import ipaddress
import json
import random
import re
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, NamedTuple, Self

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
                # RESOURCE_EXHAUSTED is a server's load or the size of a message, which gRPC does
                # not tell apart: `Client` does.
                "retryableStatusCodes": ["UNAVAILABLE"],
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

_OVERLOAD_PAUSES_S = (0.25, 0.5, 1.0)
"""The times before a request that an overloaded server refused is sent again."""

_STATUS_PAUSE_S = 0.25
"""The time between two questions whether a model is there yet."""

_STATUS_TIMEOUT_S = 5.0
"""The longest time for an answer to one of them."""

_NOT_YET = ("UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED")
"""The answers of a server, or of what stands before it, that may soon be others."""

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
    def is_too_large(self) -> bool:
        """The message is larger than the server takes: it would be refused again."""
        return self.code == "RESOURCE_EXHAUSTED" and "larger than max" in self.message

    @property
    def is_overload(self) -> bool:
        """The server has too much to do: the same request may be answered later."""
        return self.code == "RESOURCE_EXHAUSTED" and not self.is_too_large

    @property
    def may_be_of_a_text(self) -> bool:
        """A text may be at fault, and not the connection, the model or the load."""
        return self.is_too_large or self.code in ("INVALID_ARGUMENT", "OUT_OF_RANGE")


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
        self._get_model_status = self._channel.unary_unary(
            wire.MODEL_STATUS_METHOD,
            request_serializer=wire.GetModelStatusRequest.SerializeToString,
            response_deserializer=wire.GetModelStatusResponse.FromString,
        )
        self._retries = _RetryBudget()

    def wait(self, timeout_s: float) -> None:
        """Waits until the server can be reached and has loaded the model.

        A proxy can be reached before the server behind it. A server that does not tell the status
        of models is waited for until it can be reached, and one that knows no model of the name
        until it says so.

        Args:
            timeout_s: the longest time to wait, in seconds.

        Raises:
            ClientError: UNAVAILABLE, the model was not there within that time.
        """
        end = time.monotonic() + timeout_s
        try:
            grpc.channel_ready_future(self._channel).result(timeout=timeout_s)
        except grpc.FutureTimeoutError as error:
            message = f"no server within {timeout_s:g} s"
            raise ClientError(self.address, "UNAVAILABLE", message) from error

        while missing := self._missing(end):
            if time.monotonic() + _STATUS_PAUSE_S >= end:
                message = f"no model {self.name!r} within {timeout_s:g} s: {missing}"
                raise ClientError(self.address, "UNAVAILABLE", message)
            time.sleep(_STATUS_PAUSE_S)

    def _missing(self, end: float) -> str:
        """The reason why the model cannot be asked yet; empty if it can, or can be told no more of.

        Args:
            end: the time, of `time.monotonic`, after which no answer is waited for.
        """
        timeout_s = min(_STATUS_TIMEOUT_S, max(0.0, end - time.monotonic()))
        try:
            request = wire.model_status_request(self.name)
            response = self._get_model_status(request, timeout=timeout_s)
        except grpc.RpcError as error:
            code = error.code().name
            return f"{code}: {error.details()}" if code in _NOT_YET else ""

        return "" if wire.is_available(response) else "it is not loaded"

    def translate(self, texts: Sequence[str]) -> list[ClientTranslation]:
        """Translates texts, in requests of at most `batch_size` one after another.

        A text is cut at 64 KiB, as servers cut it.

        Raises:
            TypeError: `texts` is one string, or an element is no string; nothing was sent.
            ValueError: a text cannot be written as UTF-8; nothing was sent.
            ClientError: the server did not translate them.
        """
        if isinstance(texts, str):
            received = f"one string: {texts[:40]!r}"
            raise TypeError(f"`texts` must be a sequence of strings. Received {received}")

        translations = []
        for batch in self._batches(_cut_texts(texts)):
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

    def _batches(self, texts: Sequence[_CutText]) -> Iterator[list[_CutText]]:
        """Yields the texts of each request."""
        batch: list[_CutText] = []
        size = 0
        for cut in texts:
            length = len(cut.text)
            is_full = len(batch) == self.batch_size or size + length > MAXIMUM_REQUEST_BYTES
            if batch and is_full:
                yield batch
                batch = []
                size = 0
            batch.append(cut)
            size += length
        if batch:
            yield batch

    def _translate_batch(self, batch: Sequence[_CutText]) -> list[ClientTranslation]:
        response = self._answer(wire.predict_request(self.name, [cut.text for cut in batch]))
        try:
            answers = wire.read_translations(response, len(batch))
        except ValueError as error:
            raise ClientError(self.address, "INTERNAL", str(error)) from error

        found = []
        for cut, answer in zip(batch, answers, strict=True):
            truncated = answer.truncated or cut.truncated
            found.append(ClientTranslation(answer.text, answer.score, truncated))
        return found

    def _answer(self, request: Any) -> Any:
        """The response to a `PredictRequest`, which is sent again to an overloaded server."""
        end = time.monotonic() + self.timeout_s
        for pause_s in _OVERLOAD_PAUSES_S:
            try:
                return self._send(request, end)
            except ClientError as error:
                pause_s *= random.uniform(0.8, 1.2)  # clients do not come back all at once
                in_time = time.monotonic() + pause_s < end
                if not (error.is_overload and self._retries.take() and in_time):
                    raise
            time.sleep(pause_s)
        return self._send(request, end)

    def _send(self, request: Any, end: float) -> Any:
        """Sends a `PredictRequest`, whose response comes before the time `end`."""
        try:
            response = self._predict(request, timeout=max(0.0, end - time.monotonic()))
        except grpc.RpcError as error:
            raise ClientError(self.address, error.code().name, error.details()) from error
        self._retries.refill()
        return response

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


def _cut_texts(texts: Sequence[str]) -> list[_CutText]:
    """Encodes texts, and cuts those that are too long.

    Raises:
        TypeError: an element is no string; the message has its place.
        ValueError: an element cannot be written as UTF-8; the message has its place.
    """
    found = []
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"`texts[{index}]` must be a string. Received: {text!r}.")
        try:
            encoded = text.encode("utf-8")
        except UnicodeEncodeError as error:
            expected = f"`texts[{index}]` must be a string that UTF-8 can express"
            raise ValueError(f"{expected}. Received: {error}.") from error

        cut = cut_text(encoded)
        found.append(_CutText(cut, truncated=len(cut) < len(encoded)))
    return found


class _RetryBudget:
    """Keeps many refusals in a row from being multiplied by retries, as gRPC's throttling does.

    A refusal takes 1 of at most 10 tokens, an answer gives 0.1 back, and a request is sent again
    only while more than half of them are there. Threads may share one.
    """

    _MOST = 10.0

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tokens = self._MOST

    def take(self) -> bool:
        """Counts a refusal, and says if the request may be sent again."""
        with self._lock:
            self._tokens = max(0.0, self._tokens - 1)
            return self._tokens > self._MOST / 2

    def refill(self) -> None:
        """Counts an answer."""
        with self._lock:
            self._tokens = min(self._MOST, self._tokens + 0.1)


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
        wait_s: the time to wait for a server that has just been started to load the model, in
            seconds.
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
        kind = "sentences" if config.job.document else "texts"
        fault = f"{config.address}: the server refused {refused} of the {kind}"
        raise OSError(f"{fault}: their translations are empty")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; the exit status is 1 with one line on what is at fault."""
    return run_command(ClientConfig, run, arguments, prog="attention-nmt client")


if __name__ == "__main__":
    sys.exit(main())
