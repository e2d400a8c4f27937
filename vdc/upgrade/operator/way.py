"""The way of an operator from v1 to v2, and back: the definition, the controller, the stored objects, the definition.

The webhook that converts is there from before the definition names it until nothing has to be converted any more. Up to
the last step the old version is in the definition, and all can go back; then nothing reads it any more.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Final, TypeVar

from vdc.cluster.api import Cluster
from vdc.cluster.kubernetes.api import Manifest
from vdc.cluster.kubernetes.client import CONFLICT, NOT_FOUND, RefusedError
from vdc.datacenter.api import DataCenter
from vdc.datacenter.pace import deadline
from vdc.errors import ClusterError
from vdc.rolling.queue import Node
from vdc.upgrade.operator.image import image_of
from vdc.upgrade.operator.manifests import CONTROLLER, CONVERTER, controller, converter, definition, ground
from vdc.upgrade.operator.program import V1, V2, converted
from vdc.upgrade.operator.site import LiveSite, Site
from vdc.upgrade.path import UpgradePath
from vdc.upgrade.way import Step
from vdc.wait import NotYet, wait_for

T = TypeVar("T")

NODE: Final = "operator"
"""What is upgraded: one thing of the whole cluster, on whatever server its pods are."""

_PODS_SECONDS: Final = 240.0
_SERVED_SECONDS: Final = 60.0
_CONVERTED_SECONDS: Final = 120.0


class Operating:
    """Leads an operator. Implements `vdc.upgrade.way.Way`."""

    def __init__(self, dc: DataCenter, site: Site, path: UpgradePath) -> None:
        self._dc = dc
        self.site = site
        self._origin, self._target = path.before, path.after

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The operator alone."""
        return (Node(name=NODE, rack=None, votes=True),)

    def at(self, node: str) -> str:
        """Return what all facts agree on: definition, pods and their images, who leads, and what etcd has stored."""
        del node
        found = self.site.definition()
        if found is None:
            return "no definition"
        facts = {
            "the definition has": _versions(found),
            "the API says it has stored": tuple(found.get("status", {}).get("storedVersions", ())),
            "etcd has stored": tuple(sorted(_kept(self.site.stored()))),
            "controllers are": self._controllers(),
            "it leads": (self.site.leader().version,),
        }
        for release, version in ((self._origin, V1), (self._target, V2)):
            alone = dict.fromkeys(facts, (version,))
            # where there is no object there is nothing of another version, either
            if {**facts, "etcd has stored": facts["etcd has stored"] or (version,)} == alone and not self._converters():
                return release
        told = [f"{what} {' + '.join(each) or 'nothing'}" for what, each in facts.items()]
        return "; ".join([*told, *(["the webhook is there"] if self._converters() else [])])

    def forward(self, node: str) -> tuple[Step, ...]:
        """Return the steps to v2."""
        del node
        return (
            Step("apply the definition with both versions", partial(self._join_versions, V1), self._wait_both),
            Step("roll out the controller", partial(self._roll_out, V2), partial(self._wait_controller, V2)),
            Step("convert the stored objects", partial(self._store, V2), partial(self._wait_stored, V2)),
            Step("stop serving the old version", partial(self._keep_only, V2), partial(self._wait_only, V2, V1)),
        )

    def back(self, node: str) -> tuple[Step, ...]:
        """Return the steps to v1, from wherever the way there was left."""
        del node
        return (
            Step("serve both versions", partial(self._join_versions, None), self._wait_both),
            Step("roll the controller back", partial(self._roll_out, V1), partial(self._wait_controller, V1)),
            Step("convert the stored objects back", partial(self._store, V1), partial(self._wait_stored, V1)),
            Step("take the new version back", partial(self._keep_only, V1), partial(self._wait_only, V1, V2)),
        )

    def no_return(self) -> str | None:
        """Return that the definition has no v1 any more, if so: whatever is stored, nothing makes v1 of it."""
        found = self.site.definition()
        if found is None or V1 in _versions(found):
            return None
        return f"{V1} is gone from the definition, and from what it says is stored: nobody converts to it any more"

    def install(self) -> None:
        """Have the operator in v1, where there is none; wait until it leads."""
        if self.site.definition() is None:
            self.site.give(image_of(V1))
            self.site.apply(*ground())
            self.site.define(definition([V1], stored=V1))
            self._await("the definition to be served", _SERVED_SECONDS, partial(_served, self.site, V1))
            self._roll_out(V1)
        self._wait_controller(V1)

    def _join_versions(self, stored: str | None) -> None:
        """Serve both versions, with a webhook that is ready before anybody is told of it; store as before, or so."""
        image, (authority, credential) = image_of(V2), self.site.credentials()
        self.site.give(image)
        self.site.apply(*converter(image, credential, slowness=self._dc.slowness))
        self._await("the webhook to be ready", _PODS_SECONDS, partial(_ready, self.site, CONVERTER, V2))
        if stored is None:
            stored = _storage(_there(self.site))
        self.site.define(definition([V1, V2], stored=stored, authority=authority))

    def _wait_both(self) -> None:
        self._await("the API to serve both versions", _SERVED_SECONDS, partial(_served, self.site, V1, V2))
        self._await("both versions to say the same", _SERVED_SECONDS, partial(_alike, self.site))

    def _roll_out(self, version: str) -> None:
        self.site.give(image_of(version))
        self.site.apply(controller(image_of(version), slowness=self._dc.slowness))

    def _wait_controller(self, version: str) -> None:
        what = f"the controller to be {version}, and to lead"
        # users go on making objects, so there is always one that is too new to be told of
        listed = partial(self.site.flocks, version)
        there = self._await(f"the API to serve {version}", _SERVED_SECONDS, listed)
        self._await(what, _PODS_SECONDS, partial(_leading, self.site, version, there))

    def _store(self, version: str) -> None:
        """Store objects in a version from now on, and write back each that is stored in another, until there is none.

        API servers hear of the definition one after the other: some may still store objects as before for a moment.
        """
        authority, _ = self.site.credentials()
        self.site.define(definition([V1, V2], stored=version, authority=authority))
        self._await("each object to be converted", _CONVERTED_SECONDS, partial(_convert, self.site, version))
        self.site.note_stored([version])

    def _wait_stored(self, version: str) -> None:
        what = f"each object to be stored in {version}"
        self._await(what, _SERVED_SECONDS, partial(_all_stored, self.site, version))
        self._await("both versions to say the same", _SERVED_SECONDS, partial(_alike, self.site))

    def _keep_only(self, version: str) -> None:
        self.site.define(definition([version], stored=version))
        _, credential = self.site.credentials()
        self.site.delete(*reversed(converter(image_of(V2), credential, slowness=self._dc.slowness)))

    def _wait_only(self, version: str, other: str) -> None:
        self._await(f"the API to serve {version}", _SERVED_SECONDS, partial(_served, self.site, version))
        self._await(f"the API to serve {other} no more", _SERVED_SECONDS, partial(_refused, self.site, other))
        self._await("the webhook to be gone", _PODS_SECONDS, self._expect_no_converter)

    def _expect_no_converter(self) -> None:
        if left := self._converters():
            raise NotYet(f"there is {', '.join(left)}")

    def _converters(self) -> tuple[str, ...]:
        return tuple(each.pod for each in self.site.pods() if each.app == CONVERTER)

    def _controllers(self) -> tuple[str, ...]:
        """Return the versions of the controllers that run, by the bytes of their images."""
        return tuple(sorted(_version_of(each.digest) for each in self.site.pods() if each.app == CONTROLLER))

    def _await(self, what: str, seconds: float, check: Callable[[], T]) -> T:
        def patient() -> T:
            try:
                return check()
            except ClusterError as error:
                raise NotYet(error.message) from error

        return wait_for(patient, what=what, timeout=deadline(self._dc, seconds), interval=0.5)


def operating(dc: DataCenter, cluster: Cluster, path: UpgradePath) -> Operating:
    """Return the way of the operator of a cluster. Raises InputError: it is no Kubernetes."""
    return Operating(dc, LiveSite.of(dc, cluster), path)


def _versions(found: Manifest) -> tuple[str, ...]:
    return tuple(sorted(each["name"] for each in found["spec"]["versions"]))


def _storage(found: Manifest) -> str:
    return next(str(each["name"]) for each in found["spec"]["versions"] if each["storage"])


def _there(site: Site) -> Manifest:
    if (found := site.definition()) is None:
        raise ClusterError("there is no definition of the custom resource")
    return found


def _kept(stored: Mapping[str, Manifest]) -> frozenset[str]:
    """Return the versions that objects are stored in."""
    return frozenset(str(each["apiVersion"]).rpartition("/")[2] for each in stored.values())


def _version_of(digest: str) -> str:
    return next((version for version in (V1, V2) if digest in image_of(version).digests), digest or "not running yet")


def _served(site: Site, *versions: str) -> None:
    for version in versions:
        site.flocks(version)


def _refused(site: Site, version: str) -> None:
    """Return if the API does not know a version; raises NotYet, RefusedError for another reason."""
    try:
        site.flocks(version)
    except RefusedError as refusal:
        if refusal.status == NOT_FOUND:
            return
        raise
    raise NotYet("it does")


def _alike(site: Site) -> None:
    """Return if each object reads in one version what the other one converts to; raises NotYet naming those that don't.

    Whoever is written between both reads is looked at again.
    """
    old, new = site.flocks(V1), site.flocks(V2)
    same = {
        name
        for name in old.keys() & new.keys()
        if old[name]["metadata"]["resourceVersion"] != new[name]["metadata"]["resourceVersion"]
        or _said(converted(old[name], V2)) == _said(new[name])
    }
    if other := sorted((old.keys() & new.keys()) - same):
        raise NotYet(f"{', '.join(other[:5])}: one version has what the other has not")


def _said(flock: Manifest) -> tuple[object, object]:
    return flock["spec"], flock["metadata"].get("annotations")


def _ready(site: Site, app: str, version: str) -> None:
    found = [each for each in site.pods() if each.app == app]
    if [_version_of(each.digest) for each in found if each.ready] != [version] or len(found) != 1:
        told = ", ".join(
            f"{each.pod} {_version_of(each.digest)}{'' if each.ready else ' (not ready)'}" for each in found
        )
        raise NotYet(told or "no pod")


def _leading(site: Site, version: str, objects: Collection[str]) -> None:
    """Return if one controller runs, of that version, and leads, and says so of these objects; raises NotYet."""
    _ready(site, CONTROLLER, version)
    (pod,) = (each.pod for each in site.pods() if each.app == CONTROLLER)
    if (leader := site.leader()).pod != pod or leader.version != version:
        raise NotYet(f"{leader.pod or 'nobody'} leads, {leader.version}")
    left = {name: each for name, each in site.flocks(version).items() if name in objects}
    behind = [name for name, each in left.items() if each.get("status", {}).get("version") != version]
    if behind:
        raise NotYet(f"it has not told of {', '.join(sorted(behind)[:5])}")


def _convert(site: Site, version: str) -> None:
    """Write back what is stored in another version; raises NotYet naming what is so afterwards."""
    found = site.flocks(version)
    for name in _left(site, version):
        try:
            if name in found:
                site.write(found[name])
        except RefusedError as refusal:
            # somebody else wrote it meanwhile, and by that perhaps converted it
            if refusal.status not in {CONFLICT, NOT_FOUND}:
                raise
    if left := _left(site, version):
        raise NotYet(f"{len(left)} are stored in another version: {', '.join(left[:5])}")


def _left(site: Site, version: str) -> list[str]:
    return sorted(name for name, each in site.stored().items() if _kept({name: each}) != {version})


def _all_stored(site: Site, version: str) -> None:
    _convert(site, version)
    if (told := list(_there(site).get("status", {}).get("storedVersions", ()))) != [version]:
        raise NotYet(f"the definition says that {' and '.join(told)} are stored")
