"""The one command, `attention-nmt NAME`, and the tail that all its command lines share.

A command line is a frozen config dataclass whose fields are its flags, and a function that acts on
it. Modules are imported when their command is named, so that `--help` does not wait for TensorFlow.
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import importlib
import importlib.util
import inspect
import logging
import os
import re
import shlex
import sys
import typing
from collections.abc import Callable, Sequence
from typing import Annotated, Any, NamedTuple, TypeVar

from attention_nmt.checks import missing_package

Config = TypeVar("Config")

_MISSPELT = 0.7
"""The least similarity to a flag of what is taken for one, from 0 to 1 as `difflib` has it."""


class Command(NamedTuple):
    """One of the commands."""

    module: str  # below `attention_nmt`; it has a function `main`
    summary: str


COMMANDS = {
    "data": Command("training.corpus.command", "look at a corpus, or write a cleaned copy of it"),
    "train": Command("training.train", "train a model on text pairs, or go on training"),
    "evaluate": Command("training.evaluate", "score a model: BLEU, chrF, TER, alignments"),
    "translate": Command("serving.translate", "translate texts, a file or standard input"),
    "batch": Command("serving.batch", "translate many files, by several processes or machines"),
    "export": Command("serving.export", "write a model as the next version of a SavedModel"),
    "save": Command("serving.save", "write a model as one folder to share"),
    "serve": Command("serving.server", "serve a SavedModel over gRPC, for development"),
    "client": Command("serving.client", "translate through a server"),
    "tflite": Command("serving.tflite", "write a model as LiteRT"),
    "onnx": Command("serving.onnx", "write a model as ONNX"),
    "web": Command("serving.web.command", "write a page that translates in the browser"),
    "shortlist": Command("training.shortlist", "list the pieces that sources become"),
    "diversify": Command("training.diversify", "add models' translations to a corpus"),
    "distill": Command("training.distill", "write a corpus whose targets a model has written"),
    "mask": Command("training.mask", "write a corpus's texts with gaps beside the texts"),
    "vary": Command("training.vary", "add variations of a corpus's pairs, as people type them"),
    "record": Command("training.record", "write a training's batches, to be replayed elsewhere"),
    "replay": Command("training.replay", "train on recorded batches, without TensorFlow"),
    "search-study": Command("training.studies.search_study", "plot dev BLEU by beam and penalties"),
    "by-length": Command("training.studies.by_length", "plot BLEU by the length of the source"),
    "by-pairs": Command("training.studies.by_pairs", "plot BLEU by the number of training pairs"),
    "alignment-heads": Command(
        "training.studies.alignment_heads", "compare a Transformer's heads with gold links"
    ),
    "typed": Command("training.studies.typed", "score texts as people type them"),
    "growth": Command("training.studies.growth", "measure time and memory by length and batch"),
    "scaling": Command("training.studies.scaling", "measure training over logical devices"),
    "bound": Command("training.studies.bound", "compare training with its matrix products"),
    "benchmark": Command("training.studies.benchmark", "time training steps"),
    "serving-benchmark": Command("serving.benchmark", "time translation on every runtime"),
    "soak": Command("serving.soak", "put a server under load for a while"),
}
"""Every command by its name."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs `attention-nmt NAME ...`; the exit status is the command's, 2 for an unknown name."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    name = arguments[0] if arguments else "--help"
    if name in ("-h", "--help"):
        print(_usage())
        return 0
    if name == "--version":
        from attention_nmt import __version__

        print(f"attention-nmt {__version__}")
        return 0
    if name not in COMMANDS:
        print(f"error: there is no command {name!r}.\n\n{_usage()}", file=sys.stderr)
        return 2

    with _one_line_errors() as status:
        module = importlib.import_module(f"attention_nmt.{COMMANDS[name].module}")
        return module.main(arguments[1:])
    return status[0]


def _usage() -> str:
    width = max(map(len, COMMANDS))
    rows = [f"  {name:<{width}}  {command.summary}" for name, command in COMMANDS.items()]
    lines = [
        "usage: attention-nmt NAME [flags]",
        "",
        "Neural machine translation with additive attention.",
        "",
        *rows,
        "",
        "`attention-nmt NAME --help` lists the flags of a command.",
    ]
    return "\n".join(lines)


def run_command(
    kind: type[Config],
    act: Callable[[Config], object],
    arguments: Sequence[str] | None,
    *,
    prog: str,
    default: Callable[[], Config] | None = None,
    imports: Sequence[str] = (),
) -> int:
    """Reads a config from a command line and acts on it.

    Args:
        kind: the config's dataclass.
        act: takes the config, and may return an exit status, an integer.
        arguments: the command line; None is this process's own.
        prog: the command's name in its help.
        default: gives the values of flags that are not given.
        imports: modules that the command needs and that talk as they start; see `quiet_start`.

    Returns:
        The exit status: what `act` returned, 0 for None; 1 with one line on standard error for a
        `ValueError`, `OSError` or `ImportError`; 130 on Ctrl-C.
    """
    with _one_line_errors(_flags(kind)) as status:
        usual = None if default is None else default()
        config = parse(kind, arguments, prog=prog, default=usual)
        quiet_start(imports)
        result = act(config)
        return result if isinstance(result, int) else 0
    return status[0]


def parse(
    kind: type[Config],
    arguments: Sequence[str] | None,
    *,
    prog: str,
    default: Config | None = None,
) -> Config:
    """Reads a config from a command line; switches are `--flag` and `--no-flag`.

    Raises:
        SystemExit: `--help` was asked for (0), or a flag is at fault (2, with a message).
        ValueError: the config refuses a value.
    """
    import tyro

    # A function's argument, and not the config itself: of that tyro would report refused values in
    # words of its own, which name no flag.
    def build(config: Any) -> Any:
        return config

    build.__annotations__["config"] = Annotated[kind, tyro.conf.arg(name="")]
    if default is not None:
        build.__defaults__ = (default,)
    text = inspect.cleandoc(kind.__doc__ or "")
    description = text.partition("\nAttributes:")[0].partition("\nRaises:")[0].strip()
    try:
        return tyro.cli(build, prog=prog, args=arguments, description=description)
    except SystemExit as end:
        if end.code == 2 and _takes_texts(kind):
            _explain_dash(kind, sys.argv[1:] if arguments is None else arguments, prog)
        raise


def _takes_texts(kind: Any) -> bool:
    """True for a config that takes arguments which are no flags, itself or in a record."""
    import tyro

    for hint in typing.get_type_hints(kind, include_extras=True).values():
        marks = getattr(hint, "__metadata__", ())
        bare = typing.get_args(hint)[0] if marks else hint
        within = dataclasses.is_dataclass(bare) and _takes_texts(bare)
        if tyro.conf.Positional in marks or within:
            return True
    return False


def _explain_dash(kind: Any, arguments: Sequence[str], prog: str) -> None:
    """Says how a text that was taken for a flag is given, unless it looks like a misspelt flag."""
    flags = list(_flags(kind).values())
    for argument in arguments:
        if argument == "--":
            return
        name = argument.partition("=")[0]
        if name.startswith("-") and not difflib.get_close_matches(name, flags, 1, _MISSPELT):
            example = f"{prog} -- {shlex.quote(argument)}"
            print(f"A text that begins with a dash goes behind `--`: {example}", file=sys.stderr)
            return


def no_prefix() -> Any:
    """Marks a record within a config whose flags have no prefix, by `Annotated[Kind, no_prefix()]`.

    None where there is no tyro: configs are read without it, too.
    """
    try:
        import tyro
    except ImportError:
        return None
    return tyro.conf.arg(name="")


NO_PREFIX = no_prefix()


def quiet_start(imports: Sequence[str] = ()) -> None:
    """Keeps TensorFlow, CUDA and TFDS from talking as they start.

    TensorFlow says of the environment what `TF_CPP_MIN_LOG_LEVEL` lets through, and some lines
    before it has read that. With the variable set to 0 by the user, nothing is kept back.

    Args:
        imports: modules to import, of those that are installed.

    Raises:
        ImportError: a module is installed and cannot be imported.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger("absl").setLevel(logging.ERROR)
    with quiet_standard_error():
        for module in imports:
            if importlib.util.find_spec(module) is not None:
                importlib.import_module(module)


@contextlib.contextmanager
def quiet_standard_error() -> typing.Iterator[None]:
    """Keeps back what the process writes to standard error, that of C++ included."""
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL") == "0":
        yield
        return

    sys.stderr.flush()
    kept = os.dup(2)
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)


@contextlib.contextmanager
def _one_line_errors(flags: dict[str, str] | None = None) -> typing.Iterator[list[int]]:
    """Turns what is at fault into one line on standard error; yields a list with the exit status.

    Args:
        flags: flags by the names of fields; a message that names a field names its flag.
    """
    status = [1]
    try:
        yield status
    except (ValueError, OSError, ImportError) as error:
        if isinstance(error, BrokenPipeError):
            # The reader of our output has enough, such as `head`: nothing is left to flush.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return
        print(f"error: {_message(error, flags or {})}", file=sys.stderr)
    except KeyboardInterrupt:
        status[0] = 130


def _message(error: BaseException, flags: dict[str, str]) -> str:
    if isinstance(error, ModuleNotFoundError):
        return missing_package(error)
    text = " ".join(str(error).split())
    return re.sub(r"`(\w+)`", lambda match: flags.get(match[1], match[0]), text)


def _flags(kind: Any, prefix: str = "") -> dict[str, str]:
    """The flags of a config by the names of its fields, those of records within it included."""
    found: dict[str, str] = {}
    hints = typing.get_type_hints(kind, include_extras=True)
    for field in dataclasses.fields(kind):
        hint = hints[field.name]
        bare = typing.get_args(hint)[0] if hasattr(hint, "__metadata__") else hint
        name = field.name.replace("_", "-")
        if dataclasses.is_dataclass(bare):
            inner = prefix if hasattr(hint, "__metadata__") else f"{prefix}{name}."
            found = _flags(bare, inner) | found
        else:
            found[field.name] = f"--{prefix}{name}"
    return found
