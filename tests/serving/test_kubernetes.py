"""The files for a cluster: Kubernetes' schema accepts them, and they agree with each other and
with those of Compose, which serve the same."""

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from serving.client import ClientConfig
from tests.manifests import manifests, pod_of
from tests.serving.deployed import DEPLOY, flags, message, proxied, read

MANIFESTS = DEPLOY / "kubernetes"


def loaded(name: str) -> Any:
    return yaml.safe_load((DEPLOY / name).read_text(encoding="utf-8"))


def named(parts: list[Any]) -> dict[str, Any]:
    return {part["name"]: part for part in parts}


@pytest.fixture(scope="module")
def serving() -> dict[str, Any]:
    return manifests(MANIFESTS / "serving.yml")


@pytest.fixture(scope="module")
def pod(serving: dict[str, Any]) -> Any:
    return pod_of(serving["Deployment"])


@pytest.fixture(scope="module")
def containers(pod: Any) -> dict[str, Any]:
    return named(pod["containers"])


def test_a_misspelt_field_is_refused(tmp_path: Path) -> None:
    """Otherwise the schema would hold nothing."""
    text = (MANIFESTS / "autoscaling.yml").read_text(encoding="utf-8")
    changed = tmp_path / "autoscaling.yml"
    changed.write_text(text.replace("minReplicas", "minimumReplicas"), encoding="utf-8")
    with pytest.raises(kubernetes_validate.ValidationError, match="minimumReplicas"):
        manifests(changed)


def test_every_file_is_part_of_what_is_applied() -> None:
    kustomization = loaded("kustomization.yml")
    of_others = {MANIFESTS / "prometheus.yml", MANIFESTS / "adapter.yml"}
    applied = {DEPLOY / name for name in kustomization["resources"]}
    assert applied == set(MANIFESTS.iterdir()) - of_others
    for generated in kustomization["configMapGenerator"]:
        for file in generated["files"]:
            assert (DEPLOY / file.rpartition("=")[2]).is_file()


def test_pods_find_their_files(pod: Any, containers: dict[str, Any]) -> None:
    """Each file that a container reads is in a ConfigMap that the kustomization makes."""
    generated = named(loaded("kustomization.yml")["configMapGenerator"])
    files = {
        name: {file.partition("=")[0] for file in made["files"]} for name, made in generated.items()
    }
    volumes = named(pod["volumes"])
    assert set(volumes) == {
        mount["name"] for container in containers.values() for mount in container["volumeMounts"]
    }

    config = volumes["config"]["configMap"]["name"]
    read_here = flags(containers["serving"]["args"]).values()
    wanted = {name.removeprefix("/config/") for name in read_here if name.startswith("/config/")}
    assert wanted == files[config]

    nginx = volumes["nginx"]["configMap"]["name"]
    mounted = [mount for mount in containers["proxy"]["volumeMounts"] if mount["name"] == "nginx"]
    assert {mount["subPath"] for mount in mounted} == files[nginx]
    assert {mount["mountPath"] for mount in mounted} == {
        "/etc/nginx/nginx.conf",
        "/etc/nginx/server.conf",
    }


def test_it_serves_as_compose_does(containers: dict[str, Any]) -> None:
    """With other ports, and with as many operations at a time as cores are requested."""
    here = flags(containers["serving"]["args"])
    there = flags(loaded("compose.yml")["services"]["serving"]["command"])
    cores = containers["serving"]["resources"]["requests"]["cpu"]
    assert here == {
        **there,
        "port": "8510",
        "rest_api_port": "8511",
        "tensorflow_inter_op_parallelism": cores,
    }
    for name, image in (("serving", "tensorflow/serving"), ("proxy", "nginx")):
        version = loaded("compose.yml")["services"][name]["image"].rpartition(":-")[2].rstrip("}")
        assert containers[name]["image"] == f"{image}:{version}"


def test_requests_go_through_nginx_alone(
    serving: dict[str, Any], containers: dict[str, Any]
) -> None:
    here = flags(containers["serving"]["args"])
    assert proxied("server-pod.conf") == {
        "grpc": f"127.0.0.1:{here['port']}",
        "rest": f"127.0.0.1:{here['rest_api_port']}",
    }

    ports = {port["name"]: port["containerPort"] for port in containers["proxy"]["ports"]}
    assert ports == {"grpc": 8500, "rest": 8501}
    service = serving["Service"]["spec"]["ports"]
    assert {port["targetPort"]: port["port"] for port in service} == ports

    everybody, prometheus = serving["NetworkPolicy"]["spec"]["ingress"]
    assert {port["port"] for port in everybody["ports"]} == set(ports)
    assert prometheus["ports"] == [{"port": "metrics"}]
    assert "from" in prometheus


def test_a_pod_is_there_when_its_model_is_loaded(containers: dict[str, Any]) -> None:
    container = containers["serving"]
    question = container["startupProbe"]["exec"]["command"][-1]
    assert f"GET /v1/models/{ClientConfig().name} " in question
    assert f"127.0.0.1/{flags(container['args'])['rest_api_port']}" in question


def test_a_pod_that_leaves_ends_its_requests(pod: Any, containers: dict[str, Any]) -> None:
    for container in containers.values():
        (name, seconds) = container["lifecycle"]["preStop"]["exec"]["command"]
        assert name == "sleep"
        assert int(seconds) >= 10
        assert pod["terminationGracePeriodSeconds"] - int(seconds) >= 30


def test_one_label_selects_the_pods(serving: dict[str, Any]) -> None:
    labels = serving["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert labels == {"app.kubernetes.io/name": ClientConfig().name}
    assert serving["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert serving["Service"]["spec"]["selector"] == labels
    assert serving["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"] == labels
    assert serving["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels


def test_the_autoscaler_has_its_metrics(
    serving: dict[str, Any], containers: dict[str, Any]
) -> None:
    """From TensorFlow Serving over Prometheus and the adapter to the autoscaler."""
    scaler = manifests(MANIFESTS / "autoscaling.yml")["HorizontalPodAutoscaler"]["spec"]
    deployment = serving["Deployment"]["metadata"]["name"]
    assert scaler["scaleTargetRef"] == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "name": deployment,
    }
    assert "replicas" not in serving["Deployment"]["spec"]

    pods, resource = scaler["metrics"]
    (rule,) = loaded("kubernetes/adapter.yml")["rules"]["custom"]
    assert rule["name"]["as"] == pods["pods"]["metric"]["name"]
    assert set(rule["resources"]["overrides"]) == {"namespace", "pod"}
    assert '__name__=":tensorflow:core:graph_run_time_usecs"' in rule["seriesQuery"]
    assert rule["metricsQuery"] == (
        "sum(rate(<<.Series>>{<<.LabelMatchers>>}[2m])) by (<<.GroupBy>>) / 1e6"
    )
    threads = read("batching.config", message("BatchingParameters")).num_batch_threads.value
    assert 1 <= float(pods["pods"]["target"]["averageValue"]) < threads

    assert resource["containerResource"]["container"] == "serving"
    assert "cpu" in containers["serving"]["resources"]["requests"]

    (job,) = loaded("kubernetes/prometheus.yml")["scrape_configs"]
    monitoring = read("monitoring.config", message("MonitoringConfig")).prometheus_config
    assert job["metrics_path"] == monitoring.path
    keep, *labels = job["relabel_configs"]
    (port,) = containers["serving"]["ports"]
    assert keep["regex"] == f"{deployment};{port['name']}"
    assert str(port["containerPort"]) == flags(containers["serving"]["args"])["rest_api_port"]
    assert {label["target_label"] for label in labels} == set(rule["resources"]["overrides"])


def test_nothing_runs_as_root(pod: Any, containers: dict[str, Any]) -> None:
    assert pod["securityContext"]["runAsNonRoot"]
    for container in containers.values():
        security = container["securityContext"]
        assert security["runAsUser"] > 0
        assert security["readOnlyRootFilesystem"]
        assert security["capabilities"] == {"drop": ["ALL"]}
