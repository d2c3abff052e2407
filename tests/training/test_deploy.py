"""The files for trainings in a cluster: Kubernetes' schema accepts them, their commands are those
of this project, and the image has what it installs."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from attention_nmt.command import parse
from tests.manifests import manifests, pod_of
from training.presets import TrainConfig, base

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "training" / "deploy"
SERVING = ROOT / "serving" / "deploy" / "kubernetes"


def container(name: str) -> Any:
    """The one container of a file's Job."""
    (found,) = pod_of(manifests(DEPLOY / name)["Job"])["containers"]
    return found


def trained(name: str) -> TrainConfig:
    """What a file's Job trains; the run folder is no field of a config."""
    command, *arguments = container(name)["args"]
    assert command == "train"
    folder = arguments.index("--run-dir")
    del arguments[folder : folder + 2]
    return parse(TrainConfig, arguments, prog="train", default=base())


@pytest.mark.parametrize("name", ["job.yml", "workers.yml"])
def test_a_job_trains_what_its_volume_holds(name: str) -> None:
    config = trained(name)
    assert (config.source, config.target) == ("en", "de")

    (mount,) = container(name)["volumeMounts"]
    folder = container(name)["args"][container(name)["args"].index("--run-dir") + 1]
    assert Path(config.dataset).is_relative_to(mount["mountPath"])
    assert Path(folder).is_relative_to(mount["mountPath"])

    (volume,) = pod_of(manifests(DEPLOY / name)["Job"])["volumes"]
    assert volume["name"] == mount["name"]
    claim = manifests(DEPLOY / "volume.yml")["PersistentVolumeClaim"]["metadata"]["name"]
    assert volume["persistentVolumeClaim"]["claimName"] == claim


def test_what_is_exported_is_what_is_served() -> None:
    """The pod of the files mounts the volume of trainings and that of TensorFlow Serving."""
    pod = manifests(DEPLOY / "volume.yml")["Pod"]["spec"]
    claims = {
        volume["persistentVolumeClaim"]["claimName"]: volume["name"] for volume in pod["volumes"]
    }
    served = manifests(SERVING / "serving.yml")["PersistentVolumeClaim"]["metadata"]["name"]
    (files,) = pod["containers"]
    mounted = {mount["name"]: mount["mountPath"] for mount in files["volumeMounts"]}
    assert mounted[claims[served]] == "/models"
    assert mounted[claims["training"]] == container("job.yml")["volumeMounts"][0]["mountPath"]


@pytest.mark.parametrize("name", ["job.yml", "workers.yml"])
def test_a_pod_that_is_told_to_go_is_no_failure(name: str) -> None:
    """The rules are asked in their order; 143 is `train`'s status behind a checkpoint."""
    job = manifests(DEPLOY / name)["Job"]["spec"]
    taken, told, failed = job["podFailurePolicy"]["rules"]
    assert taken["action"] == told["action"] == "Ignore"
    assert taken["onPodConditions"] == [{"type": "DisruptionTarget", "status": "True"}]
    assert told["onExitCodes"]["values"] == [143]

    # Not 1, with which a worker ends when another one is gone.
    assert failed["action"] == "FailJob"
    assert failed["onExitCodes"]["values"] == [2]
    for rule in (told, failed):
        assert rule["onExitCodes"]["containerName"] == container(name)["name"]
    assert job["template"]["spec"]["restartPolicy"] == "Never"


def test_jobs_have_names_and_images_of_their_own() -> None:
    """One for a processor would leave the GPU alone, and a Job cannot be changed into another."""
    alone, together = (manifests(DEPLOY / name)["Job"] for name in ("job.yml", "workers.yml"))
    assert alone["metadata"]["name"] != together["metadata"]["name"]
    assert container("workers.yml")["image"] == f"{container('job.yml')['image']}-gpu"
    assert "nvidia.com/gpu" in container("workers.yml")["resources"]["limits"]


def test_workers_have_the_names_that_the_service_gives_them() -> None:
    objects = manifests(DEPLOY / "workers.yml")
    job = objects["Job"]
    service = objects["Service"]
    assert trained("workers.yml").devices.distribute == "multiworker"
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["selector"] == {"job-name": job["metadata"]["name"]}
    assert pod_of(job)["subdomain"] == service["metadata"]["name"]

    # Kubernetes fills in what stands before in the list.
    index, config = container("workers.yml")["env"]
    assert index["valueFrom"]["fieldRef"]["fieldPath"] == (
        "metadata.annotations['batch.kubernetes.io/job-completion-index']"
    )
    count = job["spec"]["completions"]
    assert job["spec"]["parallelism"] == count
    assert job["spec"]["completionMode"] == "Indexed"

    (port,) = service["spec"]["ports"]
    names = [
        f"{job['metadata']['name']}-{worker}.{service['metadata']['name']}:{port['port']}"
        for worker in range(count)
    ]
    found = json.loads(config["value"].replace(f"$({index['name']})", "3"))
    assert found == {"cluster": {"worker": names}, "task": {"type": "worker", "index": 3}}


def test_the_image_has_what_it_installs() -> None:
    requirements = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    named = [line for line in requirements if not line.startswith("#")]
    assert not [line for line in named if "[" in line], "pip takes no extras for constraints"

    lines = (DEPLOY / "Dockerfile").read_text(encoding="utf-8").splitlines()
    (extras,) = (line.partition("=")[2] for line in lines if line.startswith("ARG EXTRAS="))
    (entry,) = (line for line in lines if line.startswith("ENTRYPOINT"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert set(extras.split(",")) <= set(project["project"]["optional-dependencies"])
    assert json.loads(entry.removeprefix("ENTRYPOINT "))[0] in project["project"]["scripts"]

    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    copied = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    folders = {
        name.partition("/")[0] for name in project["tool"]["setuptools"]["package-dir"].values()
    }
    needed = {"pyproject.toml", "requirements.txt", project["project"]["readme"]}
    assert copied == needed | set(project["project"]["license-files"]) | folders
    assert all((ROOT / name).exists() for name in copied)
