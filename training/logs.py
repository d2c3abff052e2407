"""TensorBoard's event files, written without TensorFlow."""

from __future__ import annotations

import itertools
import os
import socket
import struct
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from attention_nmt.files import make_folder

_FILES = itertools.count()
"""Numbers of this process's files."""


class EventLog:
    """One event file in a folder, to which scalars and pictures are added; use it as a context.

    Nothing is written where tensorboard is not installed; one line says so.

    Args:
        folder: the folder, which is made with the first event.

    Source: TensorBoard's `event.proto` and `summary.proto`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file: Any = None
        self._records: Any = None
        self._installed = True
        try:
            import tensorboard.summary.writer.record_writer  # noqa: F401
        except ImportError:
            self._installed = False
            print("tensorboard is not installed: there will be no logs.", flush=True)

    def __enter__(self) -> EventLog:
        """The log itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closes the file."""
        if self._file is not None:
            self._file.close()

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Adds a number for each tag.

        Args:
            step: the step of the training.
            values: numbers by their tags.
        """
        self._add(step, [{"tag": tag, "simple_value": value} for tag, value in values.items()])

    def picture(self, step: int, tag: str, png: bytes) -> None:
        """Adds a picture.

        Args:
            step: the step of the training.
            tag: its name.
            png: a PNG file of colours without transparency.
        """
        width, height = struct.unpack(">II", png[16:24])
        image = {
            "width": width,
            "height": height,
            "colorspace": 3,
            "encoded_image_string": png,
        }
        self._add(step, [{"tag": tag, "image": image}])

    def _add(self, step: int, values: list[dict[str, Any]]) -> None:
        if not self._installed:
            return

        if self._file is None:
            self._open()
        self._write(step=step, summary={"value": values})

    def _open(self) -> None:
        from tensorboard.summary.writer.record_writer import RecordWriter

        make_folder(self.folder)
        host = socket.gethostname()
        name = f"events.out.tfevents.{int(time.time())}.{host}.{os.getpid()}.{next(_FILES)}"
        self._file = (self.folder / name).open("xb")
        self._records = RecordWriter(self._file)
        self._write(file_version="brain.Event:2")

    def _write(self, **event: Any) -> None:
        from tensorboard.compat.proto.event_pb2 import Event

        self._records.write(Event(wall_time=time.time(), **event).SerializeToString())
        self._file.flush()
