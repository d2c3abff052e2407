"""Files of Kubernetes, held to its schema."""

from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml

VERSION = "1.35"
"""Of the schemas, which come with the package."""


def manifests(path: Path) -> dict[str, Any]:
    """The objects of a file by their kinds, each after the schema of its kind accepted it.

    Raises:
        kubernetes_validate.ValidationError: a field is missing, of another type, or unknown.
    """
    found = {}
    for manifest in yaml.safe_load_all(path.read_text(encoding="utf-8")):
        kubernetes_validate.validate(manifest, VERSION, strict=True)
        assert manifest["kind"] not in found
        found[manifest["kind"]] = manifest
    return found


def pod_of(owner: Any) -> Any:
    """What a Deployment or a Job says of its pods."""
    return owner["spec"]["template"]["spec"]
