"""The manifests that scenarios share."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Golden
from vdc.cluster.kubernetes import workloads
from vdc.cluster.kubernetes.api import Manifest
from vdc.cluster.kubernetes.workloads import NAMESPACE, READY_PATH, gated, keeper, secret, service, web, web_everywhere
from vdc.shell import run

GOLDEN = Path(__file__).parents[2] / "golden" / "workloads"

CASES: Mapping[str, tuple[Manifest, ...]] = {
    "web_everywhere": web_everywhere("everywhere"),
    "web": web("spread", replicas=3),
    "web_on_a_node": web("pinned", replicas=2, node="rack0-cs0", slowness=0.1),
    "gated": gated("phoenix", node="rack0-cs0"),
    "keeper": keeper("keeper", node="rack0-ss0"),
    "cluster_ip": service("web", app="web"),
    "headless": service("web", app="web", kind="Headless"),
    "load_balancer": service("web", app="web", kind="LoadBalancer", local=True),
    "secret": secret("token", text="hidden"),
}


@pytest.mark.parametrize("case", CASES)
def test_the_manifests_are_as_before(case: str, golden: Golden) -> None:
    golden(GOLDEN / f"{case}.json", json.dumps(CASES[case], indent=1) + "\n")


@pytest.mark.parametrize("case", CASES)
def test_a_workload_brings_its_namespace_and_lives_in_it(case: str) -> None:
    first, *others = CASES[case]
    assert (first["kind"], first["metadata"]["name"]) == ("Namespace", NAMESPACE)
    assert others
    cluster_wide = {"StorageClass", "PersistentVolume"}
    for each in others:
        assert each["metadata"].get("namespace") == (None if each["kind"] in cluster_wide else NAMESPACE)


@pytest.mark.parametrize("case", ["web_everywhere", "web", "web_on_a_node", "gated", "keeper"])
def test_a_pod_has_the_label_of_its_workload_and_goes_to_control_planes_too(case: str) -> None:
    owner = CASES[case][-1]
    pod = owner["spec"]["template"]
    assert pod["metadata"]["labels"] == owner["spec"]["selector"]["matchLabels"] == {"app": owner["metadata"]["name"]}
    # nothing else: what goes away from a node that is drained must not come back to it
    assert {each["key"] for each in pod["spec"]["tolerations"]} == {
        "node-role.kubernetes.io/control-plane",
        "node-role.kubernetes.io/master",
    }


@pytest.mark.parametrize("slowness", [0.0, 0.1, 1.0, 4.0])
def test_probes_are_patient_on_a_slow_host(slowness: float) -> None:
    def probe(at: float) -> Mapping[str, Any]:
        spec = web_everywhere("x", slowness=at)[-1]["spec"]["template"]["spec"]
        found: Mapping[str, Any] = spec["containers"][0]["readinessProbe"]
        return found

    assert probe(slowness)["periodSeconds"] >= 1
    assert probe(slowness)["timeoutSeconds"] >= probe(0.0)["timeoutSeconds"]


def test_a_pod_serves_a_line_with_its_name_and_its_node_s(tmp_path: Path) -> None:
    """What the container runs is run here, with its folders moved and a web server that only says how it is called."""
    (tmp_path / "bin").mkdir()
    httpd = tmp_path / "bin" / "httpd"
    httpd.write_text('#!/bin/sh\necho "$@"\n')
    httpd.chmod(0o755)
    script = workloads._SERVE.replace("/tmp", str(tmp_path))
    environment = {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "POD_NAME": "web-0", "NODE_NAME": "rack0-cs0"}
    for _ in range(2):  # a container that starts again finds what it left
        done = run(["sh", "-c", script], timeout=20, env=environment)
    assert done.stderr == ""
    assert done.stdout == f"web-0 on rack0-cs0\n-f -p 8080 -h {tmp_path}/www\n"
    assert (tmp_path / "www" / "index.html").read_text() == "web-0 rack0-cs0\n"
    ready = tmp_path / "www" / READY_PATH.removeprefix("/")
    assert ready.exists()
    (tmp_path / "ready").unlink()
    assert not ready.exists()
