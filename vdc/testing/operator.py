"""An operator in memory: definition, stored objects and controllers, as a cluster that lies or does not has them."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, Final

from vdc.cluster.kubernetes.api import Manifest
from vdc.cluster.kubernetes.client import CONFLICT, NOT_FOUND, RefusedError
from vdc.cluster.pki import Credential
from vdc.errors import ClusterError
from vdc.testing.datacenter import FakeDataCenter
from vdc.testing.lies import Lie
from vdc.upgrade.operator.image import OperatorImage, image_of
from vdc.upgrade.operator.manifests import CONTROLLER, CONVERTER
from vdc.upgrade.operator.program import V1, V2, converted, made_of
from vdc.upgrade.operator.site import Leader, Running

_ERROR: Final = 500
_NOBODY: Final = Credential(cert_pem="", key_pem="")

Object = dict[str, Any]


class FakeSite:
    """Implements `vdc.upgrade.operator.site.Site`. What controllers do is done at once."""

    def __init__(self, dc: FakeDataCenter) -> None:
        self._world = dc.world
        self._images: set[str] = set()
        self._deployed: dict[str, str] = {}
        self._definition: Object | None = None
        self._kept: dict[str, Object] = {}
        self._made: dict[str, Object] = {}
        self._written = 0

    def give(self, image: OperatorImage) -> None:
        """Have an image on every node."""
        self._images.add(image.name)

    def apply(self, *manifests: Manifest) -> None:
        """Run what Deployments say, of images that are there."""
        for manifest in manifests:
            if manifest["kind"] == "Deployment" and not self._lies(Lie.UPGRADE_IGNORED, besides=V1):
                image = manifest["spec"]["template"]["spec"]["containers"][0]["image"]
                if image not in self._images:
                    raise ClusterError(f"no node has {image}")
                self._deployed[manifest["metadata"]["name"]] = image.rpartition(":")[2]
        self._reconcile()

    def delete(self, *manifests: Manifest) -> None:
        """Let what Deployments ran end."""
        for manifest in manifests:
            self._deployed.pop(manifest["metadata"]["name"], None)

    def credentials(self) -> tuple[str, Credential]:
        """Return what nobody looks at here."""
        return "authority", _NOBODY

    def definition(self) -> Manifest | None:
        """Return the definition."""
        return copy.deepcopy(self._definition)

    def define(self, wanted: Manifest) -> None:
        """Replace the definition. Raises ClusterError: a version is stored that it no longer has."""
        if self._definition is None:
            self._definition = {**copy.deepcopy(dict(wanted)), "status": {"storedVersions": []}}
        if self._lies(Lie.UPGRADE_IGNORED, besides=V1):
            return
        before, stored = self._storage(), self._definition["status"]["storedVersions"]
        if lost := {*stored} - {each["name"] for each in wanted["spec"]["versions"]}:
            raise ClusterError(f"status.storedVersions has {sorted(lost)}, which spec.versions must have, too")
        if self._definition["spec"] != wanted["spec"]:
            self._touch(self._definition)
        self._definition["spec"] = copy.deepcopy(wanted["spec"])
        if self._storage() not in stored:
            stored.append(self._storage())
        if before != self._storage() == V2 and Lie.WRITE_LOST in self._world.lies:
            del self._kept[max(self._kept)]
        self._reconcile()

    def note_stored(self, versions: Sequence[str]) -> None:
        """Say which versions are stored."""
        assert self._definition is not None
        if self._definition["status"]["storedVersions"] != list(versions):
            self._touch(self._definition)
        self._definition["status"]["storedVersions"] = list(versions)

    def flocks(self, version: str) -> Mapping[str, Manifest]:
        """Return all Flocks in a version."""
        self._expect_served(version)
        return {name: self._read(each, version) for name, each in self._kept.items()}

    def flock(self, version: str, name: str) -> Manifest:
        """Return one of them."""
        self._expect_served(version)
        if name not in self._kept:
            raise RefusedError(NOT_FOUND, f"{name}: not found")
        return self._read(self._kept[name], version)

    def write(self, flock: Manifest) -> Manifest:
        """Write one, in the version that is stored."""
        version, name = str(flock["apiVersion"]).rpartition("/")[2], str(flock["metadata"]["name"])
        self._expect_served(version)
        before = self._kept.get(name)
        if (before["metadata"]["resourceVersion"] if before else None) != flock["metadata"].get("resourceVersion"):
            raise RefusedError(CONFLICT, f"{name}: it is not what it was")
        if not before or not self._converts_nothing():
            self._keep(name, dict(flock), before)
        self._reconcile()
        return self.flock(version, name)

    def stored(self) -> Mapping[str, Manifest]:
        """Return what is stored."""
        return copy.deepcopy(self._kept)

    def made(self) -> Mapping[str, Manifest]:
        """Return what controllers made; some write it all the time."""
        if Lie.OBJECTS_CHURN in self._world.lies:
            for each in self._made.values():
                self._touch(each)
        return copy.deepcopy(self._made)

    def pods(self) -> tuple[Running, ...]:
        """Return a pod of each Deployment."""
        return tuple(
            Running(pod=f"{app}-{version}", uid=f"{app}-{version}", app=app, digest=self._digest(version), ready=True)
            for app, version in self._deployed.items()
        )

    def leader(self) -> Leader:
        """Return the controller that there is."""
        version = self._deployed[CONTROLLER]
        return Leader(pod=f"{CONTROLLER}-{version}", version=version)

    def _digest(self, version: str) -> str:
        runs = V1 if Lie.OLD_PROGRAM_RUNS in self._world.lies else version
        return min(image_of(runs).digests)

    def _lies(self, lie: Lie, *, besides: str) -> bool:
        """Return whether it lies, where the controller of a version runs already."""
        return lie in self._world.lies and self._deployed.get(CONTROLLER) == besides

    def _storage(self) -> str:
        assert self._definition is not None
        return next(str(each["name"]) for each in self._definition["spec"]["versions"] if each["storage"])

    def _expect_served(self, version: str) -> None:
        served = [each["name"] for each in self._definition["spec"]["versions"]] if self._definition else []
        if version not in served:
            raise RefusedError(NOT_FOUND, f"{version} is not served")

    def _read(self, kept: Object, version: str) -> Object:
        """Return an object in a version. Raises RefusedError: nobody converts it."""
        if kept["apiVersion"].endswith(f"/{version}"):
            return copy.deepcopy(kept)
        if CONVERTER not in self._deployed:
            raise RefusedError(_ERROR, "the conversion webhook does not answer")
        found = converted(kept, version)
        if Lie.FIELD_DROPPED in self._world.lies:
            found["spec"].pop("description", None)
        return found

    def _converts_nothing(self) -> bool:
        """Return whether objects that are written back stay as they are stored."""
        lie = Lie.STORED_AS_BEFORE if self._storage() == V2 else Lie.FORMAT_KEPT
        return lie in self._world.lies

    def _keep(self, name: str, flock: Object, before: Object | None) -> None:
        new = self._read(flock, self._storage())
        same = before is not None and converted(before, V2)["spec"] == converted(new, V2)["spec"]
        generation = before["metadata"]["generation"] if before else 0
        new["metadata"] = {**new["metadata"], "generation": generation if same else generation + 1}
        if before is None or before != new:
            self._touch(new)
        self._kept[name] = new

    def _touch(self, written: Object) -> None:
        self._written += 1
        written["metadata"]["resourceVersion"] = str(self._written)

    def _reconcile(self) -> None:
        """Do what the controller does."""
        version = self._deployed.get(CONTROLLER)
        if version is None or self._definition is None:
            return
        for name, kept in self._kept.items():
            wanted, made = made_of(self._read(kept, version), version), self._made.get(name, {})
            data = made.get("data", {})
            if {key: data.get(key) for key in wanted} != wanted:
                writes = str(int(data.get("writes", "0")) + 1)
                self._made[name] = {"metadata": {"name": name}, "data": {**wanted, "writes": writes}}
                self._touch(self._made[name])
            status = {"observedGeneration": kept["metadata"]["generation"], "version": version}
            if kept.get("status") != status:
                kept["status"] = status
                self._touch(kept)
