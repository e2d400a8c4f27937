"""What the harness does on a node through its guest agent, as shell scripts. Pure.

A command in an emulated guest costs a tenth of a second and more, so each script does all that is to be done at once,
and nothing where that is done already.
"""

from __future__ import annotations

import hashlib
import io
import shlex
import tarfile
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from vdc.cluster.kubernetes.api import RECORDED_SYSCTLS, Component
from vdc.cluster.kubernetes.paths import ETCD_DATA, FIRST_MEMBERS

MARKS: Final = "/etc/kubernetes/.vdc"
"""Here is a digest for each component: of the files that it was started with."""
_INSTALLED: Final = f"{MARKS}/files"
FORGET_ETCD: Final = f"systemctl stop {Component.ETCD} 2>/dev/null || :\nrm -rf --one-file-system {ETCD_DATA}\n"
"""A script that ends a member of etcd, and removes what it keeps."""
HAS_DATA: Final = "data"
"""What a look prints where a member of etcd keeps something."""
_KEPT: Final = "/var/lib/vdc"
_FIRST_SYSCTLS: Final = f"{_KEPT}/sysctls"
_UNITS: Final = "/etc/systemd/system"
_WANTS: Final = f"{_UNITS}/multi-user.target.wants"

# reads its configuration again without letting go of anybody's connection
_RELOADS: Final = frozenset({Component.API_PROXY})
# has ended before it is said to start: what answers from then on is the new one
_RENEWED: Final = frozenset({Component.ETCD, Component.API_SERVER, Component.CONTROLLER_MANAGER, Component.SCHEDULER})


def digest(files: Mapping[str, str]) -> str:
    """Return what tells whether files are the same."""
    return hashlib.sha256(repr(sorted(files.items())).encode()).hexdigest()[:32]


def look_script(units: Sequence[Component]) -> str:
    """Return a script that prints the mark and the state of each unit, separated by a blank, and perhaps `HAS_DATA`."""
    names = " ".join(units)
    return "\n".join(
        [
            f"states=$(systemctl is-active {names}) || :",
            "set -- $states",
            f"for unit in {names}; do",
            f'  echo "$unit $1 $(cat {MARKS}/$unit 2>/dev/null)"',
            "  shift",
            "done",
            f"[ ! -d {ETCD_DATA}/member ] || echo {HAS_DATA}",
            "",
        ]
    )


def install_script(files: Mapping[str, str], *, private: Iterable[str], settings: str) -> str:
    """Return a script that puts files in place, if they are not those that were put there last.

    `private` are for root alone; `settings` is the one that the kernel is then told of. They travel as one archive: a
    process for each of them would take an emulated guest seconds.
    """
    # who the first members of etcd are is known when one joins, and then it is said anew
    mark = digest({path: text for path, text in files.items() if path != FIRST_MEMBERS})
    return "\n".join(
        [
            "set -eu",
            f'[ "$(cat {_INSTALLED} 2>/dev/null)" != {mark} ] || exit 0',
            "mountpoint -q /data || { echo '/data is not mounted: data would not survive' >&2; exit 1; }",
            "[ -x /usr/local/bin/kubelet ] || { echo 'Kubernetes is not in this release' >&2; exit 1; }",
            # what is half replaced is not what any mark says
            f"rm -f {_INSTALLED}",
            "base64 -d <<END | tar -xz -C / --no-same-owner",
            b64encode(_archive(files, frozenset(private))).decode(),
            "END",
            "systemctl daemon-reload",
            # what components change is seen against what was before the first of them
            f"[ -e {_FIRST_SYSCTLS} ] || {{ mkdir -p {_KEPT}; {_settings(RECORDED_SYSCTLS)} >{_FIRST_SYSCTLS}.new",
            f"  mv {_FIRST_SYSCTLS}.new {_FIRST_SYSCTLS}; }}",
            f"sysctl -q -p {settings}",
            # A scenario may cut the power a moment from now, and the files must not be empty afterwards.
            "sync",
            f"mkdir -p {MARKS}",
            f"echo {mark} >{_INSTALLED}",
            "",
        ]
    )


def _archive(files: Mapping[str, str], private: frozenset[str]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=6) as archive:
        for path, text in sorted(files.items()):
            content = text.encode()
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size, entry.mode = len(content), 0o600 if path in private else 0o644
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def start_script(components: Mapping[Component, str]) -> str:
    """Return a script that starts components, given the digests of their files, but for those that run with these."""
    calls = [f"start {name} {mark} {_verb(name)}" for name, mark in components.items()]
    return "\n".join(
        [
            "set -eu",
            "start() {",
            f'  if [ "$(cat {MARKS}/$1 2>/dev/null)" = "$2" ]; then',
            "    case $(systemctl is-active $1) in active|activating|reloading) return;; esac",
            "  fi",
            f"  ln -sf {_UNITS}/$1.service {_WANTS}/$1.service",
            "  if [ $3 = renew ]; then",
            "    systemctl stop $1",
            "    systemctl start --no-block $1",
            "  else",
            "    systemctl $3 --no-block $1",
            "  fi",
            f'  printf %s "$2" >{MARKS}/$1.new',
            f"  mv {MARKS}/$1.new {MARKS}/$1",
            "}",
            *calls,
            "",
        ]
    )


def members_script(first: Mapping[str, str]) -> str:
    """Return a script that tells a member of etcd which ones there are when it begins, as environment variables."""
    lines = [f"{name}={value}" for name, value in first.items()]
    return "\n".join(["set -eu", f"cat >{FIRST_MEMBERS} <<END", *lines, "END", "sync", ""])


def stop_script(components: Iterable[Component]) -> str:
    """Return a script that stops components and waits until they have; the next start of them is a new one."""
    names = tuple(components)
    return f"systemctl stop {' '.join(names)}\nrm -f {' '.join(f'{MARKS}/{name}' for name in names)}\n"


def teardown_script(units: Iterable[Component], files: Iterable[str]) -> str:
    """Return a script that stops and removes all that a node was given, and what its etcd keeps."""
    ordered = tuple(units)
    stops = [each for each in ordered if each is not Component.RUNTIME]
    folders = ["/etc/kubernetes", "/etc/cni/net.d", "/var/lib/kubelet", "/var/lib/containerd", "/var/lib/cni"]
    folders += ["/var/lib/vdc-agent", "/run/containerd", ETCD_DATA]
    return "\n".join(
        [
            # Cut off from here on, nothing looks whole any more, and the next look has all put in place again.
            f"rm -rf {MARKS}",
            "sync",
            f"systemctl stop {' '.join(stops)} 2>/dev/null || :",
            # pods, then what watches over each of them, which outlives the runtime
            "for group in /sys/fs/cgroup/kubepods.slice/cgroup.kill; do [ ! -e $group ] || echo 1 >$group; done",
            f"systemctl kill --kill-who=all -s KILL {Component.RUNTIME} 2>/dev/null || :",
            f"systemctl stop {Component.RUNTIME} 2>/dev/null || :",
            "kube-proxy --cleanup >/dev/null 2>&1 || :",
            # what its agent announced outlives the agent
            "rm -rf /run/vdc-agent",
            "birdc configure >/dev/null 2>&1 || :",
            "grep -o ' /[^ ]*' /proc/mounts | grep -E '^ /(var/lib/kubelet|run/containerd|run/netns)/' | sort -r |",
            "  while read -r place; do umount -l $place; done",
            "for link in $(ip -o link show type veth | sed 's/^[0-9]*: \\([^@:]*\\).*/\\1/'); do",
            "  ip link delete $link 2>/dev/null || :",
            "done",
            *(f"rm -f {_WANTS}/{unit}.service" for unit in ordered),
            f"rm -f {' '.join(map(shlex.quote, sorted(files)))}",
            # what is still mounted below them is the user's
            f"rm -rf --one-file-system {' '.join(folders)}",
            "systemctl daemon-reload",
            "systemctl reset-failed",
            "sync",
            f"[ ! -e {ETCD_DATA}/member ] || {{ echo '{ETCD_DATA} could not be removed' >&2; exit 1; }}",
            "",
        ]
    )


def sysctls_script(names: Sequence[str]) -> str:
    """Return a script that prints kernel settings as NAME=VALUE; a name may have `*`."""
    return f"{_settings(names)}\n"


def first_sysctls_script() -> str:
    """Return a script that prints the settings that were recorded when the first files were put in place."""
    return f"cat {_FIRST_SYSCTLS}\n"


def _settings(names: Iterable[str]) -> str:
    paths = " ".join(f"/proc/sys/{name.replace('.', '/')}" for name in names)
    return f"grep -sH '' {paths} | sed 's|^/proc/sys/||; s/:/=/'"


def _verb(name: Component) -> str:
    if name in _RENEWED:
        return "renew"
    return "reload-or-restart" if name in _RELOADS else "restart"
