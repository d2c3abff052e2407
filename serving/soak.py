"""`python -m serving.soak --model-dir DIR --input FILE`: many clients, bad requests and killed
clients on one server.

Every answer is compared with the one that the text got alone, before. Good requests must not fail,
malformed ones must, and the server's memory must not grow.
"""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import tyro

from attention_nmt.checks import require

from . import wire
from .client import Client, ClientError, ClientTranslation
from .process import local_server

LARGEST_REQUEST = 8
"""Texts in a request at most; there are 1 to so many."""

CLOSE = 1e-3
"""A batch rounds differently: another translation is a tie, and not wrong, where the scores are no
further apart."""

REQUESTS_WITHOUT_END = """
import sys
from serving.client import Client
client = Client(sys.argv[1], batch_size=200)
client.translate(sys.argv[2:3])
print("sending", flush=True)
while True:
    client.translate(sys.argv[2:])
"""
GROWTH_MB = 200.0
"""How much more memory the server may hold in the last quarter than in the second: allocators keep
what they had."""

KILL_AFTER_S = 0.2
"""So long after its first answer a client is killed, while it sends one request after another."""

COMPLAINTS = 5
"""That are kept and reported."""


@dataclass(frozen=True)
class SoakConfig:
    """How to strain a server.

    Attributes:
        model_dir: an export.
        input: source texts, one a line.
        texts: how many of them are used.
        clients: that send requests at the same time, one after another each.
        minutes: how long.
        malformed: the share of requests that no server can answer.
        seed: of what is sent.

    Raises:
        ValueError: a value outside its range.
    """

    model_dir: Path
    input: Path
    texts: int = 200
    clients: int = 16
    minutes: float = 5.0
    malformed: float = 0.01
    seed: int = 1

    def __post_init__(self) -> None:
        require(self.texts >= 1, "texts", "at least 1", self.texts)
        require(self.clients >= 1, "clients", "at least 1", self.clients)
        require(self.minutes > 0, "minutes", "above 0", self.minutes)
        require(0 <= self.malformed <= 1, "malformed", "a share from 0 to 1", self.malformed)


@dataclass
class Tally:
    """What has happened so far, from all clients."""

    counts: Counter[str] = field(default_factory=Counter)
    milliseconds: list[float] = field(default_factory=list)
    memory_mb: list[float] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    server_ended: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, what: str, complaint: str = "") -> None:
        """Counts an event, and keeps what there is to say of it."""
        with self.lock:
            self.counts[what] += 1
            if complaint and len(self.complaints) < COMPLAINTS:
                self.complaints.append(complaint)


def malformed(kind: int) -> tuple[Any, str]:
    """A request that cannot be answered, and the status it must get."""
    request = wire.predict_request("nmt", ["a"])
    if kind == 0:
        request.model_spec.name = "other"
        return request, "NOT_FOUND"
    if kind == 1:
        request.model_spec.signature_name = "other"
        return request, "FAILED_PRECONDITION"
    if kind == 2:
        request.inputs.add(key="extra").value.CopyFrom(request.inputs[0].value)
    else:
        request.inputs[0].value.tensor_shape.dim[0].size = 2**20 + kind
    return request, "INVALID_ARGUMENT"


def client_loop(
    address: str,
    expected: dict[str, ClientTranslation],
    config: SoakConfig,
    seed: int,
    until: float,
    tally: Tally,
) -> None:
    """One client: random requests until the time is over."""
    draw, texts = random.Random(seed), list(expected)
    with Client(address) as client, grpc.insecure_channel(address) as channel:
        raw = channel.unary_unary(
            wire.PREDICT_METHOD,
            request_serializer=wire.PredictRequest.SerializeToString,
            response_deserializer=wire.PredictResponse.FromString,
        )
        while time.monotonic() < until and not tally.server_ended:
            if draw.random() < config.malformed:
                _send_malformed(raw, draw.randrange(4), tally)
                continue
            chosen = draw.choices(texts, k=draw.randint(1, LARGEST_REQUEST))
            began = time.monotonic()
            try:
                answers = client.translate(chosen)
            except ClientError as error:
                tally.add("dropped", str(error))
                continue
            tally.milliseconds.append(1e3 * (time.monotonic() - began))
            tally.add("answered")
            for text, answer in zip(chosen, answers, strict=True):
                tally.add(*_judge(text, answer, expected[text]))


def _judge(text: str, answer: ClientTranslation, alone: ClientTranslation) -> tuple[str, str]:
    apart = abs(answer.score - alone.score)
    if answer.text == alone.text and apart <= CLOSE:
        return "right", ""
    if apart <= CLOSE:
        return "tied", ""
    return "wrong", f"{text!r}: {answer} and alone {alone}"


def _send_malformed(raw: Callable[..., Any], kind: int, tally: Tally) -> None:
    request, status = malformed(kind)
    try:
        raw(request, timeout=60)
        tally.add("malformed but answered", f"malformed request {kind} was answered")
    except grpc.RpcError as error:
        refused = error.code().name == status
        tally.add(
            "refused" if refused else "refused wrongly",
            "" if refused else f"{kind}: {error.code()}",
        )


def kill_clients(address: str, text: str, until: float, tally: Tally) -> None:
    """Starts clients that send much, and kills them while the server is at it."""
    while time.monotonic() < until and not tally.server_ended:
        command = [sys.executable, "-c", REQUESTS_WITHOUT_END, address, *[text] * 200]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(KILL_AFTER_S)
            if process.poll() is None:
                tally.add("killed")
            process.kill()
        time.sleep(1)


def watch_memory(pid: int, until: float, tally: Tally) -> None:
    """Notes the resident memory of a process every second, in MB, or that it has ended."""
    while time.monotonic() < until:
        kilobytes = re.search(
            r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
        )
        if kilobytes is None:  # of a process that has ended there is a number and no memory
            tally.server_ended = True
            return
        tally.memory_mb.append(int(kilobytes.group(1)) / 1024)
        time.sleep(1)


def soak(config: SoakConfig) -> dict[str, Any]:
    """Runs it all; gives counts, latencies, sentences a second and memory.

    Raises:
        OSError: the server did not start, or the input cannot be read.
        ClientError: the server does not answer a text alone.
        ValueError: there is no text.
    """
    lines = [line for line in config.input.read_text(encoding="utf-8").splitlines() if line.strip()]
    texts = list(dict.fromkeys(lines))[: config.texts]
    if not texts:
        raise ValueError(f"{config.input} must hold a text")
    tally = Tally()
    with local_server(config.model_dir) as server, Client(server.address, batch_size=1) as client:
        expected = dict(zip(texts, client.translate(texts), strict=True))
        until = time.monotonic() + 60 * config.minutes
        with ThreadPoolExecutor(config.clients + 2) as pool:
            running = [
                pool.submit(
                    client_loop, server.address, expected, config, config.seed + n, until, tally
                )
                for n in range(config.clients)
            ]
            running.append(
                pool.submit(kill_clients, server.address, max(texts, key=len), until, tally)
            )
            running.append(pool.submit(watch_memory, server.pid, until, tally))
            for future in running:
                future.result()
        if tally.server_ended:
            raise OSError(f"the server ended. Before: {dict(tally.counts)}, {tally.complaints}")
        tally.add(*_judge(texts[0], client.translate(texts[:1])[0], expected[texts[0]]))
    return report(config, tally)


def report(config: SoakConfig, tally: Tally) -> dict[str, Any]:
    """What has been seen, in numbers."""
    sentences = sum(tally.counts[name] for name in ("right", "tied", "wrong"))
    memory = np.array(tally.memory_mb)
    quarter = max(1, len(memory) // 4)
    early, late = float(memory[quarter : 2 * quarter].mean()), float(memory[-quarter:].mean())
    if late > early + GROWTH_MB:
        tally.complaints.append(f"memory grew from {early:.0f} to {late:.0f} MB")
    if not tally.counts["killed"]:
        tally.complaints.append("no client was killed at work")
    if not tally.milliseconds:
        tally.complaints.append("no good request was answered")
    p50, p99 = (
        np.percentile(tally.milliseconds, (50, 99)).tolist() if tally.milliseconds else (None, None)
    )
    return {
        **{
            name: tally.counts[name]
            for name in ("answered", "dropped", "right", "tied", "wrong", "refused", "killed")
        },
        **{
            name: count
            for name, count in tally.counts.items()
            if name.startswith(("malformed", "refused wrongly"))
        },
        "sentences_per_s": sentences / (60 * config.minutes),
        "p50_ms": p50,
        "p99_ms": p99,
        "memory_mb": {"second quarter": early, "last quarter": late},
        "complaints": tally.complaints,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line: JSON; 1 if an answer was wrong, a good request failed, a bad one did not,
    or memory grew."""
    config = tyro.cli(SoakConfig, prog="serving.soak", args=arguments)
    try:
        found = soak(config)
    except (ClientError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(json.dumps(found, indent=1, ensure_ascii=False))
    return 1 if found["complaints"] else 0


if __name__ == "__main__":
    sys.exit(main())
