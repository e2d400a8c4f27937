"""The operator: its conversion, its image, its definition, and its way there and back."""

from __future__ import annotations

import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from vdc.cluster.kubernetes.client import RefusedError
from vdc.errors import WaitTimeout
from vdc.model.expand import expand
from vdc.model.load import load
from vdc.model.releases import catalogue
from vdc.observe.verdict import Kind
from vdc.testing import FakeDataCenter, Lie
from vdc.testing.operator import FakeSite
from vdc.upgrade.journal import Begun, Journal
from vdc.upgrade.operator.image import image_of
from vdc.upgrade.operator.load import Writer, held
from vdc.upgrade.operator.manifests import controller, converter, definition, flock
from vdc.upgrade.operator.program import COLOUR, GROUP, V1, V2, converted, made_of, review
from vdc.upgrade.operator.trial import reconciled_once
from vdc.upgrade.operator.way import NODE, Operating
from vdc.upgrade.path import Method
from vdc.upgrade.paths import path
from vdc.upgrade.plan import planned
from vdc.upgrade.rules import versions_of
from vdc.upgrade.upgrader import Boundary, Moment, NoReturnError, Upgrader

SMALL = Path(__file__).parents[2] / "topologies/k8s-small.yml"
OLD, NEW = "kubernetes-1.20 with operator v1", "kubernetes-1.20 with operator v2"


class KilledError(Exception):
    pass


def made(tmp_path: Path, *lies: Lie) -> tuple[Upgrader, FakeSite]:
    dc = FakeDataCenter(expand(load(SMALL)), tmp_path, lies=lies)
    site = FakeSite(dc)
    way = Operating(dc, site, path("operator"))
    way.install()
    begun = Begun(path="operator", origin=OLD, target=NEW)
    return Upgrader(dc=dc, way=way, begun=begun, journal=Journal(tmp_path / "journal")), site


def coloured(version: str = V2) -> dict[str, object]:
    spec = {"replicas": 2, "description": "of Ann", "colour": "black"}
    return converted({"apiVersion": f"{GROUP}/v2", "kind": "Flock", "metadata": {"name": "a"}, "spec": spec}, version)


def test_nothing_is_lost_on_the_way_to_the_old_version_and_back() -> None:
    old = coloured(V1)
    assert old["spec"] == {"size": 2, "note": "of Ann"}
    assert old["metadata"] == {"name": "a", "annotations": {COLOUR: "black"}}
    assert converted(old, V2) == coloured()
    plain = flock("a", V1, 3, "of Bob")
    assert converted(converted(plain, V2), V1) == plain


def test_both_controllers_make_the_same_of_an_object() -> None:
    assert made_of(coloured(V1), V1) == made_of(coloured(), V2) == {"sheep": "a-0 a-1", "text": "of Ann"}


def test_a_review_that_cannot_be_done_is_answered_with_the_reason() -> None:
    broken = {"apiVersion": f"{GROUP}/v1", "metadata": {"name": "a"}, "spec": {}}
    asked = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview"}
    request = {"uid": "1", "desiredAPIVersion": f"{GROUP}/v2", "objects": [broken]}
    said = review({**asked, "request": request})
    assert {key: said[key] for key in asked} == asked
    assert said["response"]["uid"] == "1"
    assert said["response"]["result"] == {"status": "Failure", "message": "KeyError: 'size'"}
    good = review({**asked, "request": {**request, "objects": [coloured(V1)]}})
    assert good["response"]["convertedObjects"] == [coloured()]


def test_the_images_of_two_versions_are_told_apart_by_their_bytes() -> None:
    old, new = image_of(V1), image_of(V2)
    assert not old.digests & new.digests
    assert old.name == "vdc.local/operator:v1"
    with tarfile.open(fileobj=io.BytesIO(new.archive)) as archive:
        index = json.load(archive.extractfile("index.json") or io.BytesIO())
        (entry,) = index["manifests"]
        assert entry["annotations"] == {"io.containerd.image.name": new.name}
        assert entry["digest"] in new.digests
        manifest = json.load(archive.extractfile(f"blobs/sha256/{entry['digest'][7:]}") or io.BytesIO())
        assert manifest["config"]["digest"] in new.digests
        layer = archive.extractfile(f"blobs/sha256/{manifest['layers'][0]['digest'][7:]}")
        with tarfile.open(fileobj=layer) as content:
            assert (content.extractfile("app/release") or io.BytesIO()).read() == b"v2\n"
            assert content.getmember("lib64").linkname == "usr/lib64"


def test_the_definition_names_a_webhook_only_where_there_is_something_to_convert() -> None:
    alone = definition([V1], stored=V1)["spec"]
    assert alone["conversion"] == {"strategy": "None"}
    both = definition([V1, V2], stored=V2, authority="PEM")["spec"]
    client = both["conversion"]["webhook"]["clientConfig"]
    assert client["service"] == {"namespace": "vdc-operator", "name": "converter", "path": "/convert", "port": 443}
    assert client["caBundle"] == "UEVN"
    assert [(each["name"], each["served"], each["storage"]) for each in both["versions"]] == [
        (V1, True, False),
        (V2, True, True),
    ]


def test_a_pod_runs_the_program_of_its_image_with_the_python_of_its_node(tmp_path: Path) -> None:
    del tmp_path
    pod = controller(image_of(V2), slowness=1.0)["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["command"] == ["/usr/bin/python3", "/app/program.py", "controller"]
    assert container["volumeMounts"] == [{"name": "usr", "mountPath": "/usr", "readOnly": True}]
    site = FakeSite(FakeDataCenter(expand(load(SMALL)), Path("unused")))
    _, credential = site.credentials()
    kinds = [each["kind"] for each in converter(image_of(V2), credential, slowness=1.0)]
    assert kinds == ["Secret", "Service", "Deployment"]


def test_the_steps_are_those_that_the_plan_tells(tmp_path: Path) -> None:
    going, _ = made(tmp_path)
    row = path("operator")
    versions = {name: versions_of(each) for name, each in catalogue().items()}
    stages = planned(row.origin, row.target, versions, row, None).stages
    steps = going.way.forward(NODE)
    assert len(stages) == len(steps)
    for stage, step in zip(stages, steps, strict=True):
        assert stage.what.split()[:2] == step.name.split()[:2]


def test_it_goes_there_and_nothing_goes_back_from_there(tmp_path: Path) -> None:
    going, site = made(tmp_path)
    Writer(site).fill()
    before = held(site, V1)
    assert going.way.at(NODE) == OLD
    assert going.run() == (NODE,)
    assert going.way.at(NODE) == NEW
    assert held(site, V2) == before
    assert {each["apiVersion"] for each in site.stored().values()} == {f"{GROUP}/v2"}
    assert going.run() == ()
    with pytest.raises(NoReturnError, match="v1 is gone from the definition"):
        going.back()
    with pytest.raises(RefusedError):
        site.flocks(V1)


def dying_at(step: str, moment: Moment) -> Boundary:
    """Return a boundary at which an upgrader dies."""

    def boundary(_: str, name: str, when: Moment) -> None:
        if (name, when) == (step, moment):
            raise KilledError

    return boundary


@pytest.mark.parametrize("moment", [Moment.BEGUN, Moment.DONE, Moment.RECORDED])
@pytest.mark.parametrize("number", range(4))
def test_it_is_resumed_from_every_boundary(tmp_path: Path, number: int, moment: Moment) -> None:
    going, site = made(tmp_path)
    Writer(site).fill()
    before = held(site, V1)
    step = going.way.forward(NODE)[number].name

    with pytest.raises(KilledError):
        replace(going, boundary=dying_at(step, moment)).run()
    going.run()
    assert going.way.at(NODE) == NEW
    assert held(site, V2) == before


@pytest.mark.parametrize("moment", [Moment.BEFORE, Moment.BEGUN, Moment.DONE, Moment.RECORDED])
@pytest.mark.parametrize("number", range(3))
def test_it_goes_back_from_every_boundary_before_the_last_step(tmp_path: Path, number: int, moment: Moment) -> None:
    going, site = made(tmp_path)
    Writer(site).fill()
    before = held(site, V1)
    step = going.way.forward(NODE)[number].name

    with pytest.raises(KilledError):
        replace(going, boundary=dying_at(step, moment)).run()
    assert going.back() == (NODE,)
    assert going.way.at(NODE) == OLD
    assert held(site, V1) == before


def test_an_operator_between_two_versions_says_what_it_is(tmp_path: Path) -> None:
    going, site = made(tmp_path)
    Writer(site).fill()
    first, *_ = going.way.forward(NODE)
    first.do()
    first.done()
    assert going.way.at(NODE) == (
        "the definition has v1 + v2; the API says it has stored v1; etcd has stored v1; controllers are v1; "
        "it leads v1; the webhook is there"
    )


def test_who_forgets_a_field_is_found_out_before_anything_is_converted(tmp_path: Path) -> None:
    going, site = made(tmp_path, Lie.FIELD_DROPPED)
    Writer(site).fill()
    with pytest.raises(WaitTimeout, match="both versions to say the same"):
        going.run()
    assert {each["apiVersion"] for each in site.stored().values()} == {f"{GROUP}/v1"}


def test_what_was_written_twice_for_one_change_is_named() -> None:
    asked = {"a": {**flock("a", V2, 1, "x"), "metadata": {"name": "a", "generation": 1}}}
    once = {"a": {"data": {"sheep": "a-0", "text": "x", "writes": "1"}}}
    assert reconciled_once(asked, once, V2).kind is Kind.VALID
    twice = {"a": {"data": {"sheep": "a-0", "text": "x", "writes": "2"}}}
    assert reconciled_once(asked, twice, V2).message == "a: written 2 times, for 1 changes"
    assert reconciled_once(asked, {}, V2).message == "a: nothing was made of it"
    assert reconciled_once({}, {}, V2).kind is Kind.UNKNOWN


def test_a_path_within_one_release_ends_at_versions_of_what_changes() -> None:
    row = path("operator")
    assert row.method is Method.WORKLOAD
    assert (row.before, row.after) == (OLD, NEW)
