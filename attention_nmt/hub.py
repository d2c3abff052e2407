"""Models on hubs: downloaded and uploaded by the hubs' own libraries."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from attention_nmt.checks import missing_package, require

HUGGING_FACE = "hf://"
KAGGLE = "kaggle://"

SCHEMES = (HUGGING_FACE, KAGGLE)
"""The beginnings of names on hubs."""

TIMEOUT_S = 5.0
"""The time in which a hub has to begin its answer."""

_FORMS = "`hf://OWNER/NAME` or `kaggle://OWNER/MODEL/keras/NAME`"


def download(name: str) -> Path:
    """The folder of a model on a hub, which is downloaded where it is not there already.

    Args:
        name: `hf://OWNER/NAME`, or `kaggle://OWNER/MODEL/keras/NAME` with `/VERSION` behind it.

    Raises:
        ValueError: the name has another form.
        OSError: the hub cannot be reached, or has no such model.
        ImportError: the hub's library is not installed.
    """
    scheme, handle = _split(name)
    with _hub_errors(name):
        if scheme == KAGGLE:
            import kagglehub

            return Path(kagglehub.model_download(handle))

        return _hugging_face_snapshot(handle)


def upload_preset(name: str, folder: str | Path) -> None:
    """Uploads a folder that `Translator.save` wrote.

    Args:
        name: where to: `hf://OWNER/NAME` or `kaggle://OWNER/MODEL/keras/NAME`.
        folder: the folder.

    Raises:
        ValueError: the name has another form, or the folder holds no model.
        OSError: the hub cannot be reached, or refuses.
        ImportError: the hub's library is not installed.
    """
    from attention_nmt.model_folder import is_model_folder

    folder = Path(folder)
    scheme, handle = _split(name)
    require(is_model_folder(folder), "folder", "one that `Translator.save` wrote", str(folder))
    with _hub_errors(name):
        if scheme == KAGGLE:
            import kagglehub

            kagglehub.model_upload(handle, str(folder))
            return

        import huggingface_hub

        _await_hugging_face(handle)
        huggingface_hub.create_repo(handle, exist_ok=True)
        huggingface_hub.upload_folder(repo_id=handle, folder_path=folder)


def _split(name: str) -> tuple[str, str]:
    """The scheme of a name and what stands behind it.

    Raises:
        ValueError: it has another form.
    """
    scheme = next((one for one in SCHEMES if name.startswith(one)), "")
    handle = name.removeprefix(scheme)
    parts = handle.split("/")

    counts = {HUGGING_FACE: (2,), KAGGLE: (4, 5)}.get(scheme, ())
    require(len(parts) in counts and all(parts), "model", f"of the form {_FORMS}", name)
    return scheme, handle


def _hugging_face_snapshot(handle: str) -> Path:
    """The folder of a repository on Hugging Face; the one kept here where the hub is silent."""
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        _await_hugging_face(handle)
    except Exception as silence:
        try:
            return Path(huggingface_hub.snapshot_download(handle, local_files_only=True))
        except LocalEntryNotFoundError:
            raise silence from None

    return Path(huggingface_hub.snapshot_download(handle, etag_timeout=TIMEOUT_S))


def _await_hugging_face(handle: str) -> None:
    """Returns when Hugging Face answers, whatever it says of the repository.

    The library's other calls wait for a silent hub without an end. What this one raises of a
    silent hub is of the library for HTTP.
    """
    import huggingface_hub
    from huggingface_hub.errors import HfHubHTTPError

    with contextlib.suppress(HfHubHTTPError):
        huggingface_hub.model_info(handle, timeout=TIMEOUT_S)


@contextlib.contextmanager
def _hub_errors(name: str) -> Iterator[None]:
    """Makes whatever a hub's library raises one error in one line.

    Each library has errors of its own, and lets through those of its library for HTTP.

    Raises:
        OSError: something was raised.
        ImportError: the library is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise ImportError(missing_package(error), name=error.name) from error
    except Exception as error:
        said = " ".join(str(error).split()) or type(error).__name__
        raise OSError(f"{name}: {said}") from error
