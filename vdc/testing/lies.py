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
    NODE_DEAD = "a node is Ready in the API, and nothing on it answers"
    NODE_MISSING = "a server is no node, and nobody misses it"
    NODE_OF_OTHER_VERSION = "a kubelet is of another version than the release"
    POD_MISSING = "a node has no pod of a daemon set"
    PROXY_OF_ONE = "a proxy of the API always talks to one server"
    ANONYMOUS_AT_API = "API servers answer everybody"
    ANONYMOUS_AT_KUBELET = "kubelets answer everybody"
    NODE_CHANGES_OTHERS = "the credential of a node changes other nodes"
    NODE_READS_SECRETS = "the credential of a node reads secrets of others"
    LOGS_EMPTY = "logs are there, with nothing in them"
    EXEC_ELSEWHERE = "a command runs in another pod than was asked"
    SPREAD_IGNORED = "all replicas are in one rack"
    PODS_RESTART = "pods restart all the time"
    UNITS_RESTART = "units restart all the time"
    OBJECTS_CHURN = "a controller writes the same object all the time"
    VOLUME_LOST = "the volume of a new pod is empty"
    POD_NOT_KILLED = "a pod is said to be deleted, and stays"
    RACKS_APART = "packets between pods of different racks are lost"
    SERVICE_WITHOUT_ENDPOINTS = "a service has an address, and nobody behind it"
    SERVICE_SKIPS_POD = "a service never sends a request to one of its pods"
    NAMES_WRONG = "names have the addresses of somebody else"
    NAMES_INVENTED = "names that nobody has are known"
    BALANCER_OF_ONE_RACK = "a load balancer leads to one rack alone"
    BALANCER_OUTSIDE_POOL = "a load balancer has an address of no pool"
    PROXY_FORGETS = "kube-proxy never learns what happened while it was down"
    SYSCTL_CHANGED = "kube-proxy changes a kernel setting when it starts"
