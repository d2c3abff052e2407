"""Many clients, bad requests and killed clients on one server: the command `soak`.

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
from typing import Any, NamedTuple

import grpc
import numpy as np

from attention_nmt.checks import require
from attention_nmt.command import run_command
from attention_nmt.text_files import read_lines

from . import wire
from .client import Client, ClientError, ClientTranslation
from .process import local_server

LARGEST_REQUEST = 8
"""The most texts in a request."""

CLOSE = 1e-3
"""The difference of scores up to which another translation is a tie, and not wrong.

A batch rounds differently.
"""

REQUESTS_WITHOUT_END = f"""
import sys
from {__package__}.client import Client
client = Client(sys.argv[1], batch_size=200)
client.translate(sys.argv[2:3])
print("sending", flush=True)
while True:
    client.translate(sys.argv[2:])
"""
"""The program of a client that is killed."""

GROWTH_MB = 200.0
"""The most memory that the server may hold in the last quarter beyond that in the second.

Allocators keep what they had.
"""

KILL_AFTER_S = 0.2
"""The time from a client's first answer until it is killed, while it sends one request after
another."""

COMPLAINTS = 5
"""The number of complaints that are kept and reported."""


@dataclass(frozen=True, kw_only=True)
class SoakConfig:
    """Puts a server under load for a while, and prints counts and latencies as JSON.

    The exit status is 1 if an answer was wrong, a good request failed, a bad one did not, or memory
    grew.

    Attributes:
        model_dir: an export.
        input: a file of source texts, one a line.
        texts: the number of them that are used.
        clients: the number of clients that send requests at the same time, one after another each.
        minutes: the time that it takes, in minutes.
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
    """All that has happened so far, from all clients."""

    counts: Counter[str] = field(default_factory=Counter)
    milliseconds: list[float] = field(default_factory=list)
    memory_mb: list[float] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    server_ended: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, event: str, complaint: str = "") -> None:
        """Counts an event, and keeps the complaint that there is of it."""
        with self.lock:
            self.counts[event] += 1
            if complaint and len(self.complaints) < COMPLAINTS:
                self.complaints.append(complaint)


class Load(NamedTuple):
    """The strain that all clients put on one server, and their tally."""

    config: SoakConfig
    address: str
    expected: dict[str, ClientTranslation]  # of each text, when it was sent alone
    until: float  # of `time.monotonic`, in seconds
    tally: Tally

    @property
    def over(self) -> bool:
        """The time is over, or the server has ended."""
        return time.monotonic() >= self.until or self.tally.server_ended


def malformed(kind: int) -> tuple[Any, str]:
    """Makes a request that cannot be answered; gives it and the status that it must get."""
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


def client_loop(load: Load, seed: int) -> None:
    """One client: random requests until the time is over."""
    draw = random.Random(seed)
    texts = list(load.expected)
    with Client(load.address) as client, grpc.insecure_channel(load.address) as channel:
        raw = channel.unary_unary(
            wire.PREDICT_METHOD,
            request_serializer=wire.PredictRequest.SerializeToString,
            response_deserializer=wire.PredictResponse.FromString,
        )
        while not load.over:
            if draw.random() < load.config.malformed:
                _send_malformed(raw, draw.randrange(4), load.tally)
            else:
                chosen = draw.choices(texts, k=draw.randint(1, LARGEST_REQUEST))
                _send(client, chosen, load)


def _send(client: Client, texts: list[str], load: Load) -> None:
    began = time.monotonic()
    try:
        answers = client.translate(texts)
    except ClientError as error:
        load.tally.add("dropped", str(error))
        return

    load.tally.milliseconds.append(1e3 * (time.monotonic() - began))
    load.tally.add("answered")
    for text, answer in zip(texts, answers, strict=True):
        load.tally.add(*_judge(text, answer, load.expected[text]))


def _judge(text: str, answer: ClientTranslation, alone: ClientTranslation) -> tuple[str, str]:
    """The event that an answer is, and the complaint of it."""
    apart = abs(answer.score - alone.score)
    if apart > CLOSE:
        return "wrong", f"{text!r}: {answer} and alone {alone}"
    return ("right" if answer.text == alone.text else "tied"), ""


def _send_malformed(raw: Callable[..., Any], kind: int, tally: Tally) -> None:
    request, status = malformed(kind)
    try:
        raw(request, timeout=60)
    except grpc.RpcError as error:
        if error.code().name == status:
            tally.add("refused")
        else:
            tally.add("refused wrongly", f"{kind}: {error.code()}")
    else:
        tally.add("malformed but answered", f"malformed request {kind} was answered")


def kill_clients(load: Load) -> None:
    """Starts clients that send much, and kills them while the server is at it."""
    longest = max(load.expected, key=len)
    command = [sys.executable, "-c", REQUESTS_WITHOUT_END, load.address, *[longest] * 200]
    while not load.over:
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(KILL_AFTER_S)
            if process.poll() is None:
                load.tally.add("killed")
            process.kill()
        time.sleep(1)


def watch_memory(pid: int, until: float, tally: Tally) -> None:
    """Notes the resident memory of a process every second, in MB, or that it has ended."""
    status = Path(f"/proc/{pid}/status")
    while time.monotonic() < until:
        kilobytes = re.search(r"VmRSS:\s+(\d+)", status.read_text(encoding="utf-8"))
        if kilobytes is None:  # of a process that has ended there is a number and no memory
            tally.server_ended = True
            return
        tally.memory_mb.append(int(kilobytes.group(1)) / 1024)
        time.sleep(1)


def soak(config: SoakConfig) -> dict[str, Any]:
    """Runs it all.

    Returns:
        Counts, latencies, sentences a second and memory.

    Raises:
        OSError: the server did not start, or the input cannot be read.
        ClientError: the server does not answer a text alone.
        ValueError: there is no text.
    """
    lines = read_lines(config.input)
    texts = list(dict.fromkeys(line for line in lines if line.strip()))[: config.texts]
    if not texts:
        raise ValueError(f"{config.input} must hold a text")

    tally = Tally()
    with local_server(config.model_dir) as server, Client(server.address, batch_size=1) as client:
        expected = dict(zip(texts, client.translate(texts), strict=True))
        load = Load(
            config=config,
            address=server.address,
            expected=expected,
            until=time.monotonic() + 60 * config.minutes,
            tally=tally,
        )
        _put_load(load, server.pid)
        if tally.server_ended:
            before = f"{dict(tally.counts)}, {tally.complaints}"
            raise OSError(f"the server ended. Before: {before}")

        again = client.translate(texts[:1])[0]
        tally.add(*_judge(texts[0], again, expected[texts[0]]))
    return report(config, tally)


def _put_load(load: Load, pid: int) -> None:
    """Runs all clients, and watches the server's memory, until the time is over."""
    with ThreadPoolExecutor(load.config.clients + 2) as pool:
        seeds = range(load.config.seed, load.config.seed + load.config.clients)
        running = [
            *(pool.submit(client_loop, load, seed) for seed in seeds),
            pool.submit(kill_clients, load),
            pool.submit(watch_memory, pid, load.until, load.tally),
        ]
        for future in running:
            future.result()


def report(config: SoakConfig, tally: Tally) -> dict[str, Any]:
    """All that has been seen, in numbers."""
    memory = np.array(tally.memory_mb)
    quarter = max(1, len(memory) // 4)
    early = float(memory[quarter : 2 * quarter].mean())
    late = float(memory[-quarter:].mean())

    complaints = tally.complaints
    if late > early + GROWTH_MB:
        complaints.append(f"memory grew from {early:.0f} to {late:.0f} MB")
    if not tally.counts["killed"]:
        complaints.append("no client was killed at work")
    if not tally.milliseconds:
        complaints.append("no good request was answered")

    usual = ("answered", "dropped", "right", "tied", "wrong", "refused", "killed")
    faults = [name for name in tally.counts if name.startswith(("malformed", "refused wrongly"))]
    counts = {name: tally.counts[name] for name in (*usual, *faults)}
    sentences = counts["right"] + counts["tied"] + counts["wrong"]
    return {
        **counts,
        "sentences_per_s": sentences / (60 * config.minutes),
        "p50_ms": _percentile(tally.milliseconds, 50),
        "p99_ms": _percentile(tally.milliseconds, 99),
        "memory_mb": {"second quarter": early, "last quarter": late},
        "complaints": complaints,
    }


def _percentile(values: list[float], share: int) -> float | None:
    return float(np.percentile(values, share)) if values else None


def run(config: SoakConfig) -> int:
    """Puts a server under load and prints what came of it, as JSON.

    Returns:
        1 if there are complaints.

    Raises:
        OSError: the server did not start or does not answer, or the input cannot be read.
        ValueError: there is no text.
    """
    try:
        found = soak(config)
    except ClientError as error:
        raise OSError(str(error)) from error
    print(json.dumps(found, indent=1, ensure_ascii=False))
    return 1 if found["complaints"] else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; the exit status is 1 with complaints, or with one line on a fault."""
    return run_command(SoakConfig, run, arguments, prog="attention-nmt soak")


if __name__ == "__main__":
    sys.exit(main())
