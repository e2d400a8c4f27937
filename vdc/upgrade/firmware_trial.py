"""What trials of firmware need besides `vdc.upgrade.trial`: a common start, and a variable of UEFI."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from vdc.cluster.api import Cluster
from vdc.datacenter.api import DataCenter
from vdc.faults.proofs import wait_whole

_VARIABLE: Final = """\
variable=/sys/firmware/efi/efivars/VdcTrial-5f0a3c1e-9d6b-4c39-8a55-7d1c2e4b6f80
mountpoint -q ${variable%/*} || mount -t efivarfs efivarfs ${variable%/*}
"""

WRITE: Final = f"""\
: vdc firmware write
set -e
{_VARIABLE}
printf '\\007\\000\\000\\000%s' "$1" > $variable
"""
"""What a shell runs that writes the variable: attributes, those of one that stays and is for both stages (UEFI
Specification, 8.2), then its argument."""

READ: Final = f"""\
: vdc firmware read
{_VARIABLE}
[ ! -e $variable ] || cat $variable | tail -c +5
"""
"""What prints the variable, or nothing where there is none."""

_AT_ONCE: Final = 4  # servers


def start_by(dc: DataCenter, cluster: Cluster, release: str) -> None:
    """Have all members start by the firmware of a release, whatever they had: all are off at once.

    Raises what flashing raises; WaitTimeout: it is not whole afterwards.
    """
    machines = [dc.servers[name] for name in cluster.members]
    with dc.steps.step(f"members start by {release}"), ThreadPoolExecutor(_AT_ONCE) as pool:
        machines[0].firmware_of(release)  # what must be fetched is fetched before anybody is off
        list(pool.map(lambda machine: machine.shutdown(), machines))
        for machine in machines:
            machine.flash(release)
            machine.power_on()
        list(pool.map(lambda machine: machine.wait_answering(), machines))
        wait_whole(dc, cluster)


def write_variables(dc: DataCenter, cluster: Cluster) -> Mapping[str, str]:
    """Have the UEFI of each member keep a variable that names it, and return them. Raises CommandError, WaitTimeout."""
    for name in cluster.members:
        dc.servers[name].run(["sh", "-s", "--", name], stdin=WRITE)
    return {name: name for name in cluster.members}


def read_variables(dc: DataCenter, cluster: Cluster) -> Mapping[str, str]:
    """Return the variables of the members, "" for one that has none. Raises CommandError, WaitTimeout."""
    return {name: dc.servers[name].run(["sh", "-s"], stdin=READ).stdout for name in cluster.members}
