"""How many inputs each property is tried on, and what they are made with."""

import os

import pytest
from hypothesis import HealthCheck, settings

from tests.serving.conftest import run_dir as run_dir
from tests.serving.conftest import servable as servable
from tests.serving.conftest import version as version

EXAMPLES = int(os.environ.get("ATTENTION_NMT_EXAMPLES", "25"))
"""Inputs for each property; `make properties` asks for many more."""

settings.register_profile(
    "project",
    max_examples=EXAMPLES,
    deadline=None,  # a first call traces a graph
    derandomize="ATTENTION_NMT_EXAMPLES" not in os.environ,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("project")


@pytest.fixture(autouse=True)
def _profile() -> None:
    """The profile above, whatever another test module has loaded."""
    settings.load_profile("project")
