"""The ways in which a fake data centre can lie, so that tests can see a scenario notice.

Every scenario has a row in tests/scenarios: it passes against the honest fake and fails against each of its
lies.
"""

from __future__ import annotations

from enum import StrEnum


class Lie(StrEnum):
    """One thing that a data centre or a cluster claims and that is not so."""

    REBOOT_IGNORED = "no restart happens: the boot ID stays"
    UPGRADE_IGNORED = "reimaging is accepted, and the versions stay"
    KERNEL_KEPT = "reimaging renews everything but the kernel"
    FAULT_WITHOUT_EFFECT = "power, cables and partitions say they are cut, and all goes on as before"
    NEVER_HEALS = "power, cables and partitions say they are back, and nothing works"
    WRITE_LOST = "the last acknowledged write is gone in the end"
    DATA_LOST_BY_RESTART = "the cluster is empty after any restart of a server"
    SLOW_FAILOVER = "after each change nothing is answered for ten minutes"
    NO_SAMPLES = "the probe sees nothing"
    SAMPLES_STOP = "the probe stops looking half-way, and says nothing"
    SESSION_DOWN = "a router has a session that is not Established"
    BFD_DOWN = "a session is Established without BFD"
    NEXT_HOP_MISSING = "all sessions are Established, and a kernel table has one next hop where it needs two"
    EXTERNAL_UNREACHABLE = "routes are there, and packets to the clients outside are lost"
    MEMBER_MUTE = "a member says that it is healthy, and serves nobody"
    STALE_READS = "a member answers reads with nothing"
    OLD_LEADER_STAYS = "a leader cut off from its peers goes on leading"
