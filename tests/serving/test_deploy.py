"""The files for TensorFlow Serving: each is parsed as its reader parses it, and they agree with
each other."""

import re
from typing import Any

import pytest
import yaml
from tensorflow_serving.config import model_server_config_pb2

from attention_nmt.config import SearchConfig
from serving.client import MAXIMUM_REQUEST_BYTES, ClientConfig
from serving.server import ServerConfig
from serving.signatures import MAXIMUM_BATCH, maximum_aligned
from tests.serving.deployed import DEPLOY, flags, message, proxied, read

LIMITS = ("limit_conn requests", "client_body_buffer_size")
"""Of nginx: requests at a time, and the memory for one of them in MiB."""

REST_PORT = 8501

FLAGS = {
    "port",
    "rest_api_port",
    "model_config_file",
    "model_config_file_poll_wait_seconds",
    "allow_version_labels_for_unavailable_models",
    "enable_batching",
    "batching_parameters_file",
    "enable_per_model_batching_parameters",
    "monitoring_config_file",
    "tensorflow_intra_op_parallelism",
}
"""Of tensorflow_serving/model_servers/main.cc, those that are used here."""


@pytest.fixture(scope="module")
def compose() -> Any:
    return yaml.safe_load((DEPLOY / "compose.yml").read_text(encoding="utf-8"))


def test_the_models() -> None:
    config = read("models.config", model_server_config_pb2.ModelServerConfig())
    (model,) = config.model_config_list.config
    assert model.name == ClientConfig().name
    assert model.base_path == f"/models/{model.name}"
    assert set(model.version_labels.values()) <= set(model.model_version_policy.specific.versions)


def test_batches_are_of_a_size_that_every_signature_takes() -> None:
    """The limits of requests are checked on the batch that the server has put together."""
    batching = read("batching.config", message("BatchingParameters"))
    assert (
        ClientConfig().batch_size
        <= batching.max_batch_size.value
        <= min(maximum_aligned(SearchConfig()), MAXIMUM_BATCH)
    )
    # Parts of an alignment have different widths: the server could not join them again.
    assert not batching.enable_large_batch_splitting.value


def test_metrics_are_read_where_the_server_has_them(compose: Any) -> None:
    monitoring = read("monitoring.config", message("MonitoringConfig")).prometheus_config
    (job,) = yaml.safe_load((DEPLOY / "prometheus.yml").read_text(encoding="utf-8"))[
        "scrape_configs"
    ]
    assert monitoring.enable
    assert job["metrics_path"] == monitoring.path
    assert job["static_configs"] == [{"targets": ["serving:8501"]}]
    assert "--rest_api_port=8501" in compose["services"]["serving"]["command"]


def test_the_containers(compose: Any) -> None:
    serving, proxy, prometheus = (
        compose["services"][name] for name in ("serving", "proxy", "prometheus")
    )
    given = flags(serving["command"])
    assert set(given) <= FLAGS
    files = [value for value in given.values() if value.startswith("/config/")]
    assert len(files) == 3
    assert all((DEPLOY / name.removeprefix("/config/")).is_file() for name in files)
    assert ".:/config:ro" in serving["volumes"]
    assert any(volume.endswith(":/models:ro") for volume in serving["volumes"])
    assert [volume for volume in prometheus["volumes"] if volume.startswith("./prometheus.yml:")]
    assert "ports" not in serving
    ports = proxy["ports"] + prometheus["ports"]
    assert all(port.startswith("127.0.0.1:") for port in ports)
    assert [port.split(":")[2] for port in ports] == [given["port"], given["rest_api_port"], "9090"]
    assert "./nginx.conf:/etc/nginx/nginx.conf:ro" in proxy["volumes"]


def test_the_proxy_comes_when_the_model_is_loaded(compose: Any) -> None:
    """And looks for a container that was made anew, which has another address."""
    serving, proxy = compose["services"]["serving"], compose["services"]["proxy"]
    assert proxy["depends_on"] == {"serving": {"condition": "service_healthy"}}
    question = serving["healthcheck"]["test"][-1]
    assert f"GET /v1/models/{ClientConfig().name} " in question
    assert f"127.0.0.1/{REST_PORT}" in question

    conf = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
    assert re.findall(r"\b\w+_pass \w+://(\S+);", conf) == ["$grpc_server", "$rest_server"]
    assert "include /etc/nginx/server.conf;" in conf

    server = (DEPLOY / "server-compose.conf").read_text(encoding="utf-8")
    assert re.search(r"^resolver 127\.0\.0\.11 valid=5s ipv6=off;$", server, re.MULTILINE)
    assert proxied("server-compose.conf") == {
        "grpc": "serving:8500",
        "rest": f"serving:{REST_PORT}",
    }
    assert "./server-compose.conf:/etc/nginx/server.conf:ro" in proxy["volumes"]


def test_nothing_over_4_mib_reaches_the_server(compose: Any) -> None:
    """The only published ports are nginx's, whose limits the client and the local server keep."""
    conf = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
    default = ServerConfig(model_dir=DEPLOY).max_message_bytes
    assert f"client_max_body_size {default >> 20}m;" in conf
    assert default == 4 * 2**20 > MAXIMUM_REQUEST_BYTES

    given = flags(compose["services"]["serving"]["command"])
    for name, scheme, flag in (("grpc", "grpc", "port"), ("rest", "http", "rest_api_port")):
        port = given[flag]
        assert f"_pass {scheme}://${name}_server;" in conf
        assert proxied("server-compose.conf")[name] == f"serving:{port}"
        assert re.search(rf"listen {port}\b", conf)

    assert "limit_conn_zone all zone=requests:" in conf
    most, buffer = (int(re.search(rf"{name} (\d+)", conf)[1]) for name in LIMITS)  # type: ignore[index]
    assert most * buffer < int(compose["services"]["proxy"]["mem_limit"].removesuffix("m"))
