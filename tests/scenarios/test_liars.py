"""Each scenario passes on an honest data centre and fails on one that lies: a scenario that cannot fail is
none.

The table says for each scenario which lies it must find out, and which word its failure must have in it.
"""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from random import Random
from types import MappingProxyType
from typing import Any

import pytest

from vdc.errors import VdcError
from vdc.faults import injected
from vdc.model.expand import expand
from vdc.model.load import load
from vdc.model.topology import Topology
from vdc.observe.idle import quiet
from vdc.testing import FakeCluster, FakeDataCenter, FakeKubernetes, FakeProbe, FakeUpgrades, Lie

ROOT = Path(__file__).parents[2]
FIXTURES = frozenset({"dc", "cluster", "kubernetes", "quiet", "probe", "inject", "dice", "upgrades"})

Scenario = Callable[..., None]
Row = Mapping[Lie, str]

_UNDER_PROBE: Row = MappingProxyType(
    {
        Lie.WRITE_LOST: "no_write_lost: invalid",
        Lie.SLOW_FAILOVER: "longest_outage: invalid",
        Lie.NO_SAMPLES: "unknown",
        Lie.SAMPLES_STOP: "longest_outage: unknown",
    }
)
_UNDER_FLOWS: Row = MappingProxyType(
    {
        Lie.SLOW_FAILOVER: "longest_flow_outage: invalid",
        Lie.ONE_WAY_LOST: "longest_flow_outage: invalid",
        Lie.NO_SAMPLES: "longest_flow_outage: unknown",
        Lie.SAMPLES_STOP: "longest_flow_outage: unknown",
    }
)
_FROM_DARK: Row = MappingProxyType(
    {
        Lie.WRITE_LOST: "no_write_lost: invalid",
        Lie.NO_SAMPLES: "unknown",
        Lie.SAMPLES_STOP: "longest_outage: unknown",
    }
)
_FAULT: Row = MappingProxyType({Lie.FAULT_WITHOUT_EFFECT: "to bite", Lie.NEVER_HEALS: "not healed"})
_MEANT: Row = MappingProxyType({Lie.REBOOTED_TWICE: "restarted 2 times", Lie.CAUSE_WRONG: "causes_agree: invalid"})
_RESTART: Row = MappingProxyType({Lie.REBOOT_IGNORED: "boot ID", Lie.DATA_LOST_BY_RESTART: "expected"})
_IN_USE: Row = MappingProxyType(
    {
        **_UNDER_FLOWS,
        Lie.OBJECTS_CHURN: "all to be settled",
        Lie.NODE_DEAD: "runs no command",
        Lie.REBOOT_IGNORED: "boot ID",
        Lie.DATA_LOST_BY_RESTART: "expected",
    }
)
"""What a Kubernetes whose nodes restart may not do to its users."""
_OUTAGES = frozenset({Lie.SLOW_FAILOVER, Lie.ONE_WAY_LOST})
_ALONE: Row = MappingProxyType(
    {
        Lie.CAUSE_WRONG: "causes_agree: invalid",
        Lie.REBOOTED_TWICE: "restarted 2 times",
        Lie.OTHERS_RESTART: "restarted, and was not to",
    }
)
"""What restarts together may not do, nor bring about."""
_UNDER_LOAD: Row = MappingProxyType({**_UNDER_PROBE, Lie.OUTAGE_UNSAMPLED: "longest_outage: unknown"})
_UPGRADE: Row = MappingProxyType(
    {
        Lie.UPGRADE_IGNORED: "it runs debian-12 on a disk of debian-13",
        Lie.ONE_LEFT_BEHIND: "rack2-cs0",
        Lie.KERNEL_KEPT: "kernel 6.1",
        Lie.OLD_PROGRAM_RUNS: "/usr/bin/etcd: its SHA-256 is",
        Lie.SETTING_DRIFTS: "net.ipv4.conf.all.rp_filter",
        Lie.UNITS_RESTART: "no_churn: invalid",
    }
)
"""What a node that says it was upgraded may not be."""
_TURNS: Row = MappingProxyType(
    {
        Lie.REBOOTED_TWICE: "restarted 2 times",
        Lie.OTHERS_RESTART: "at_most_away: invalid",
        Lie.CAUSE_WRONG: "causes_agree: invalid",
    }
)
"""What restarts that were to be one after the other, and for a reason, may not be."""

_IN_PLACE: Row = MappingProxyType(
    {Lie.UPGRADE_IGNORED: "it runs debian-12", Lie.SERVICE_NOT_RESTARTED: "to run the etcd that is in place"}
)
_PROVEN: Row = MappingProxyType(
    {
        Lie.OLD_PROGRAM_RUNS: "/usr/bin/etcd: its SHA-256 is",
        Lie.SETTING_DRIFTS: "net.ipv4.conf.all.rp_filter",
        Lie.UNITS_RESTART: "no_churn: invalid",
    }
)
"""What servers of etcd that were upgraded in place may not be."""
_NEW_RUNTIME: Row = MappingProxyType(
    {
        Lie.UPGRADE_IGNORED: "it runs kubernetes-1.20",
        Lie.ONE_LEFT_BEHIND: "it runs kubernetes-1.20",
        Lie.SERVICE_NOT_RESTARTED: "to run the containerd that is in place",
        Lie.POD_REPLACED: "is gone",
        Lie.PODS_RESTART: "restarts on",
        Lie.UNITS_RESTART: "held_on: invalid",
    }
)
_NEW_KUBERNETES: Row = MappingProxyType(
    {
        **_NEW_RUNTIME,
        Lie.SERVICE_NOT_RESTARTED: "to run the kube-apiserver that is in place",
    }
)
_FLASHED: Row = MappingProxyType(
    {
        **_UNDER_LOAD,
        Lie.DATA_LOST_BY_RESTART: "expected",
        Lie.UPGRADE_IGNORED: "and it runs firmware-",
        Lie.ONE_LEFT_BEHIND: "rack2-cs0: all steps to firmware-",
        Lie.FIRMWARE_CLAIMED: "SeaBIOS 1.16-1, which is no UEFI, while QEMU executes firmware-ovmf-20",
        Lie.UNITS_RESTART: "no_churn: invalid",
    }
)
"""What a server that was flashed may not be."""

_NEW_BIRD: Row = MappingProxyType(
    {
        Lie.UPGRADE_IGNORED: "runs BIRD 2.0.12",
        Lie.FAULT_WITHOUT_EFFECT: "to let go of it",
        Lie.NEVER_HEALS: "does not answer",
        Lie.OLD_PROGRAM_RUNS: "runs BIRD 2.17.5 with the SHA-256",
        Lie.ONE_LEFT_BEHIND: "runs BIRD 2.0.12",
    }
)

_OPERATOR: Row = MappingProxyType(
    {
        Lie.UPGRADE_IGNORED: "the webhook to be ready",
        Lie.OLD_PROGRAM_RUNS: "the webhook to be ready",
        Lie.STORED_AS_BEFORE: "for each object to be converted",
        Lie.FIELD_DROPPED: "both versions to say the same",
        Lie.WRITE_LOST: "no_write_lost: invalid",
        Lie.OBJECTS_CHURN: "no_churn: invalid",
        Lie.PODS_RESTART: "no_unexpected_restart: invalid",
    }
)
"""What an operator that says it was upgraded may not be."""

_KUBERNETES_REBOOTS: Mapping[str, Row] = MappingProxyType(
    {
        "test_a_node_that_restarts_is_missed_by_nobody_who_does_not_need_it": {},
        "test_all_nodes_are_drained_and_restarted_in_turn_the_control_plane_last": {
            Lie.VOLUME_LOST: "lost through the volume",
            Lie.POD_NOT_KILLED: "has not left",
            Lie.NEVER_HEALS: "no answer",
        },
        "test_a_node_waits_until_a_disruption_budget_lets_its_pods_go": {
            Lie.BUDGET_IGNORED: "nobody was held up",
            Lie.POD_NOT_KILLED: "has not left",
        },
        "test_a_node_waits_for_the_pods_of_a_protected_namespace": {Lie.PROTECTED_UNSEEN: "nobody was held up"},
    }
)

LIES: Mapping[str, Row] = MappingProxyType(
    {
        "standard/test_fabric.py::test_every_bgp_and_bfd_session_is_up_and_every_route_is_in_its_kernel": {
            Lie.SESSION_DOWN: "Connect",
            Lie.BFD_DOWN: "Down",
            Lie.NEXT_HOP_MISSING: "expected",
        },
        "standard/test_fabric.py::test_every_pair_of_racks_is_joined_over_every_spine": {
            Lie.NEXT_HOP_MISSING: "rack2-tor1 to",
        },
        "standard/test_fabric.py::test_each_server_reaches_all_others_and_the_outside_over_one_tor_alone": {
            **_FAULT,
            Lie.EXTERNAL_UNREACHABLE: "to reach",
        },
        "standard/test_cluster.py::test_the_cluster_serves_through_every_member": {
            Lie.MEMBER_MUTE: "does not answer",
            Lie.STALE_READS: "expected",
        },
        **{
            f"standard/test_kubernetes.py::{name}": row
            for name, row in {
                "test_every_server_is_a_living_node_as_the_topology_says": {
                    Lie.NODE_DEAD: "does not answer",
                    Lie.NODE_MISSING: "rack1-ss0: missing",
                    Lie.NODE_OF_OTHER_VERSION: "v1.19",
                },
                "test_a_pod_on_every_node_answers_by_its_name": {
                    Lie.NODE_DEAD: "does not answer",
                    Lie.POD_MISSING: "5 pods of web",
                },
                "test_logs_are_read_and_commands_run_on_every_node": {
                    Lie.LOGS_EMPTY: "does not tell its name",
                    Lie.EXEC_ELSEWHERE: "ran in",
                },
                "test_only_those_get_in_who_may": {
                    Lie.ANONYMOUS_AT_API: "API server of rack0-cp0",
                    Lie.ANONYMOUS_AT_KUBELET: "kubelet of rack0-cp0",
                    Lie.STRANGER_AT_API: "API server of rack0-cp0",
                    Lie.STRANGER_AT_KUBELET: "kubelet of rack0-cp0",
                    Lie.ANYBODY_AT_ETCD: "etcd of rack0-cp0 answers nobody",
                    Lie.STRANGER_AT_ETCD: "etcd of rack0-cp0 answers one with a certificate",
                    Lie.POD_READS_SECRETS: "pods read secrets",
                    Lie.POD_UNKNOWN: "API server of rack0-cp0 does not know pods",
                },
                "test_secrets_are_encrypted_at_rest_and_who_asks_for_them_is_written_down": {
                    Lie.SECRETS_IN_THE_CLEAR: "has a secret that begins with b'k8s",
                    Lie.AUDIT_SILENT: "its administrator asked for secrets, and was answered 200",
                    Lie.AUDIT_LEAVES_OUT_REFUSALS: "the account that pods have asked for secrets, and was answered 403",
                    Lie.AUDIT_TELLS_SECRETS: "'contents': ['responseObject']",
                    Lie.POD_READS_SECRETS: "'answered': 200",
                },
                "test_pods_reach_one_another_within_and_across_racks": {
                    Lie.RACKS_APART: "does not answer",
                    Lie.NODE_DEAD: "does not answer",
                },
                "test_every_node_sends_the_requests_of_a_service_to_all_its_pods": {
                    Lie.SERVICE_WITHOUT_ENDPOINTS: "does not answer",
                    Lie.SERVICE_SKIPS_POD: "never answered by",
                    Lie.RACKS_APART: "does not answer",
                    Lie.PROXY_OF_OTHER_MODE: "userspace",
                },
                "test_names_are_known_on_every_node_and_others_are_not": {
                    Lie.NAMES_WRONG: "web.vdc.svc.cluster.local. is 192.0.2.1",
                    Lie.NAMES_INVENTED: "nobody.vdc.svc.cluster.local. is 192.0.2.1, not unknown",
                    Lie.SERVICE_WITHOUT_ENDPOINTS: "each.vdc.svc.cluster.local. is unknown",
                    Lie.DOMAIN_IGNORED: "web.vdc.svc.cluster.local. is unknown",
                },
                "test_a_load_balancer_is_reached_from_outside_in_every_rack": {
                    Lie.BALANCER_OF_ONE_RACK: "never answered in rack 1, rack 2",
                    Lie.BALANCER_OUTSIDE_POOL: "192.0.2.1 is not of the pool",
                    Lie.BALANCER_LOSES_SOME: "of 40 was lost",
                    Lie.SERVICE_WITHOUT_ENDPOINTS: "does not answer",
                },
                "test_nothing_has_changed_in_a_quiet_minute": {
                    Lie.PODS_RESTART: "restarts of web-",
                    Lie.UNITS_RESTART: "kubelet.service on",
                    Lie.OBJECTS_CHURN: "Namespace default: ",
                },
            }.items()
        },
        **{
            f"standard/test_kubernetes_changes.py::{name}": row
            for name, row in {
                "test_a_node_may_change_itself_and_nothing_of_others": {
                    Lie.NODE_CHANGES_OTHERS: "rack1-ss0 may `kubectl",
                    Lie.NODE_READS_SECRETS: "secrets/hidden",
                    Lie.MARK_IGNORED: "the API does not have it so",
                },
                "test_replicas_are_spread_over_the_racks_and_wait_rather_than_be_not": {
                    Lie.SPREAD_IGNORED: "to find no node",
                    Lie.SPREAD_BY_CHANCE: "to find no node",
                    Lie.NEVER_HEALS: "3 pods of spread to have nodes",
                    Lie.FAULT_WITHOUT_EFFECT: "to find no node",
                },
                "test_what_a_pod_wrote_to_its_volume_is_read_by_the_next": {
                    Lie.VOLUME_LOST: "No such file",
                    Lie.POD_NOT_KILLED: "1 pods of keeper",
                },
                "test_the_api_answers_through_every_proxy_with_each_api_server_down_in_turn": {
                    **_FAULT,
                    Lie.PROXY_OF_ONE: "rack1-ss0: no API server answers",
                    Lie.PROXY_LOSES_SOME: "requests failed: ('through",
                    Lie.PROXY_LOSES_ONE: "requests failed: ('through",
                },
                "test_a_pod_that_is_well_again_while_kube_proxy_is_down_is_routed_afterwards": {
                    **_FAULT,
                    Lie.PROXY_FORGETS: "does not answer",
                },
                "test_components_change_no_kernel_setting": {
                    **_FAULT,
                    Lie.SYSCTL_CHANGED: "net.ipv4.conf.all.arp_ignore: 0 → 1",
                    Lie.SYSCTL_CHANGED_AT_FIRST: "net.ipv4.conf.all.rp_filter: 0 → 2",
                },
            }.items()
        },
        "fault/test_kubernetes_faults.py::test_pods_are_reached_while_a_component_is_stopped_and_it_comes_back": {
            **_FAULT,
            Lie.NODE_DEAD: "does not answer",
        },
        "fault/test_kubernetes_faults.py::test_pods_are_reached_while_a_killed_component_comes_back_by_itself": {
            **_FAULT,
            Lie.NODE_DEAD: "does not answer",
        },
        "fault/test_kubernetes_faults.py::test_pods_are_reached_while_a_component_hangs_or_is_not_believed": {
            **_FAULT,
            Lie.NODE_DEAD: "does not answer",
        },
        "fault/test_kubernetes_users.py::test_the_loss_of_a_spine_is_survived_by_every_way_to_the_cluster": {
            **_UNDER_FLOWS,
            **_FAULT,
            Lie.NODE_DEAD: "longest_flow_outage: invalid",
        },
        "fault/test_kubernetes_users.py::test_an_api_server_that_is_stopped_is_missed_only_by_those_who_ask_it_alone": {
            **_UNDER_FLOWS,
            **_FAULT,
        },
        "fault/test_kubernetes_users.py::test_what_was_acknowledged_on_a_volume_outlives_its_pod": {
            Lie.VOLUME_LOST: "lost through the volume",
            Lie.POD_NOT_KILLED: "1 pods of keeper",
        },
        "reboot/test_reboot.py::test_a_graceful_reboot_of_one_server_goes_unnoticed": {
            **_UNDER_PROBE,
            **_RESTART,
            **_MEANT,
        },
        "reboot/test_reboot.py::test_the_leader_losing_power_costs_one_election": {
            **_UNDER_PROBE,
            **_RESTART,
            **_MEANT,
            Lie.FAULT_WITHOUT_EFFECT: "still leads",
        },
        **{
            f"reboot/test_kubernetes_reboots.py::{name}": {**_IN_USE, **_TURNS, **row}
            for name, row in _KUBERNETES_REBOOTS.items()
        },
        **{
            f"reboot/test_kubernetes_misfortunes.py::{name}": {**_IN_USE, **_FAULT, **_ALONE}
            for name in (
                "test_a_rack_that_loses_its_power_is_missed_by_nobody_in_others",
                "test_all_workers_come_back_from_a_loss_of_power",
                "test_pods_serve_on_while_all_control_planes_are_without_power",
            )
        },
        "reboot/test_kubernetes_misfortunes.py::test_all_nodes_start_again_from_dark": {
            **{lie: said for lie, said in _IN_USE.items() if lie not in _OUTAGES},
            **_FAULT,
            Lie.CAUSE_WRONG: "causes_agree: invalid",
            Lie.REBOOTED_TWICE: "restarted 2 times",
        },
        "reboot/test_kubernetes_misfortunes.py::test_power_that_goes_again_and_again_while_a_node_boots_harms_nobody": {
            **_IN_USE,
            **_FAULT,
            Lie.CAUSE_WRONG: "causes_agree: invalid",
        },
        "reboot/test_kubernetes_misfortunes.py::test_a_node_that_never_comes_back_stops_the_queue_and_is_replaced": {
            **_IN_USE,
            Lie.REBOOTED_TWICE: "restarted 2 times",
            Lie.REBOOT_IGNORED: "nobody restarted",
            Lie.OTHERS_RESTART: "restarted, and was not to",
            Lie.FAULT_WITHOUT_EFFECT: "is still Ready",
            Lie.VOLUME_LOST: "lost through the volume",
        },
        "reboot/test_rolling.py::test_a_rolling_reboot_goes_unnoticed": {**_UNDER_PROBE, **_RESTART, **_TURNS},
        **{
            f"reboot/test_misfortunes.py::{name}": row
            for name, row in {
                "test_a_rack_that_loses_its_power_comes_back": {
                    **_UNDER_PROBE,
                    **_RESTART,
                    **_FAULT,
                    Lie.CAUSE_WRONG: "causes_agree: invalid",
                    Lie.REBOOTED_TWICE: "restarted 2 times",
                    Lie.OTHERS_RESTART: "restarted, and was not to",
                },
                "test_power_that_goes_again_and_again_while_a_server_boots_harms_nobody": {
                    **_UNDER_PROBE,
                    **_FAULT,
                    Lie.DATA_LOST_BY_RESTART: "expected",
                    Lie.CAUSE_WRONG: "causes_agree: invalid",
                },
                "test_a_loss_of_power_takes_nothing_from_a_local_disk_that_was_synced": {
                    **_FAULT,
                    Lie.SYNCED_LOST: "local_data: invalid: synced and lost: line 19",
                    Lie.REBOOT_IGNORED: "boot ID",
                    Lie.REBOOTED_TWICE: "restarted 2 times",
                    Lie.CAUSE_WRONG: "causes_agree: invalid",
                },
                "test_a_server_that_never_comes_back_stops_the_queue_and_is_replaced": {
                    **_UNDER_PROBE,
                    **_RESTART,
                    **_TURNS,
                    Lie.REBOOT_IGNORED: "nobody restarted",
                    Lie.OTHERS_RESTART: "restarted, and was not to",
                    Lie.FAULT_WITHOUT_EFFECT: "still serves",
                    Lie.REPLACEMENT_EMPTY: "expected",
                },
            }.items()
        },
        "reboot/test_reboot.py::test_all_servers_start_again_from_dark": {
            **_FROM_DARK,
            **_RESTART,
            **_MEANT,
            Lie.FAULT_WITHOUT_EFFECT: "boot ID",
        },
        "fault/test_fabric_faults.py::test_the_loss_of_one_tor_is_survived": {**_UNDER_PROBE, **_FAULT},
        "fault/test_fabric_faults.py::test_the_loss_of_one_spine_is_survived": {**_UNDER_PROBE, **_FAULT},
        "fault/test_fabric_faults.py::test_a_cut_server_link_is_survived": {**_UNDER_PROBE, **_FAULT},
        **{
            f"fault/test_routing_faults.py::{name}": {**_UNDER_PROBE, **_FAULT}
            for name in (
                "test_a_spine_whose_routing_daemon_hangs_is_avoided",
                "test_a_tor_whose_routing_daemon_is_killed_is_avoided",
                "test_a_session_that_is_shut_is_survived",
            )
        },
        "fault/test_routing_faults.py::test_a_leader_whose_address_is_hijacked_is_replaced": {
            **_UNDER_PROBE,
            **_FAULT,
            Lie.OLD_LEADER_STAYS: "still leads",
        },
        **{
            f"fault/test_disk_faults.py::{name}": row
            for name, row in {
                "test_a_power_cut_that_loses_what_was_not_flushed_loses_no_acknowledged_write": {
                    **_UNDER_PROBE,
                    **_FAULT,
                    **_RESTART,
                },
                "test_a_member_whose_disk_fails_is_done_without": {**_UNDER_PROBE, **_FAULT, **_RESTART},
                "test_nobody_waits_for_a_member_whose_disk_is_slow": {**_UNDER_PROBE, **_FAULT},
            }.items()
        },
        **{
            f"fault/test_power_faults.py::{name}": row
            for name, row in {
                "test_a_leader_that_hangs_is_replaced_and_follows_when_it_goes_on": {**_UNDER_PROBE, **_FAULT},
                "test_the_loss_of_half_a_rack_is_survived": {**_UNDER_PROBE, **_FAULT, **_RESTART},
                "test_a_site_comes_back_from_dark": {**_FROM_DARK, **_FAULT, **_RESTART},
            }.items()
        },
        **{
            f"fault/test_path_faults.py::{name}": {**_UNDER_FLOWS, **_FAULT}
            for name in (
                "test_a_cut_cable_between_racks_costs_little",
                "test_a_cable_that_loses_one_direction_is_noticed",
                "test_a_spine_without_power_costs_little",
                "test_a_tor_without_power_is_missed_by_nobody_else",
            )
        },
        "fault/test_bare_fabric.py::test_a_fault_of_the_fabric_bites_and_heals": {
            **_FAULT,
            Lie.NO_SAMPLES: _UNDER_FLOWS[Lie.NO_SAMPLES],
        },
        "fault/test_service_faults.py::test_a_leader_that_hangs_is_replaced": {
            **_UNDER_PROBE,
            **_FAULT,
            Lie.OLD_LEADER_STAYS: "still leads",
        },
        "fault/test_service_faults.py::test_a_leader_that_is_killed_comes_back_by_itself": {
            **_UNDER_PROBE,
            Lie.FAULT_WITHOUT_EFFECT: "to bite",
        },
        "fault/test_service_faults.py::test_a_leader_whose_clock_jumps_an_hour_goes_unnoticed": {
            **_UNDER_PROBE,
            **_FAULT,
        },
        "fault/test_server_faults.py::test_a_crashed_leader_is_replaced": {
            **_UNDER_PROBE,
            **_FAULT,
            **_RESTART,
            Lie.REBOOT_IGNORED: "not healed",
        },
        "fault/test_server_faults.py::test_the_loss_of_a_whole_rack_is_survived": {
            **_UNDER_PROBE,
            **_FAULT,
            **_RESTART,
        },
        "fault/test_server_faults.py::test_a_leader_cut_off_from_its_peers_is_replaced": {
            **_UNDER_PROBE,
            **_FAULT,
            Lie.OLD_LEADER_STAYS: "still leads",
        },
        "upgrade/test_rolling.py::test_a_rolling_upgrade_of_the_operating_system_goes_unnoticed": {
            **_UNDER_LOAD,
            **_RESTART,
            **_UPGRADE,
            Lie.REBOOT_IGNORED: "boot ID",
            Lie.ONE_WAY_LOST: _UNDER_FLOWS[Lie.ONE_WAY_LOST],
            Lie.OTHERS_RESTART: "restarted_once: invalid",
            Lie.REBOOTED_TWICE: "restarted_once: invalid",
        },
        "upgrade/test_rolling.py::test_an_upgrade_to_the_release_that_runs_changes_nothing": {
            Lie.WRITE_LOST: _UNDER_PROBE[Lie.WRITE_LOST],
            Lie.NO_SAMPLES: "unknown",
            Lie.UNITS_RESTART: "no_churn: invalid",
        },
        "upgrade/test_interrupted.py::test_an_upgrader_that_is_killed_at_every_boundary_is_resumed": {
            **_UNDER_LOAD,
            **_RESTART,
            **_UPGRADE,
            Lie.UPGRADE_IGNORED: "rack0-cs0 runs debian-12 on a disk of debian-13",
        },
        "upgrade/test_mixed.py::test_two_releases_at_once_serve_as_one": {
            **_UNDER_LOAD,
            Lie.FAULT_WITHOUT_EFFECT: "to bite",
            Lie.DATA_LOST_BY_RESTART: "expected",
            Lie.UPGRADE_IGNORED: "it runs debian-12 on a disk of debian-13",
            Lie.KERNEL_KEPT: "kernel 6.1",
            Lie.MEMBER_MUTE: "does not answer",
            Lie.NEXT_HOP_MISSING: "expected",
        },
        "upgrade/test_power_loss.py::test_a_server_that_loses_power_during_its_upgrade_is_upgraded": {
            **_UNDER_LOAD,
            Lie.DATA_LOST_BY_RESTART: "expected",
            Lie.UPGRADE_IGNORED: "it runs debian-12 on a disk of debian-13",
            Lie.KERNEL_KEPT: "kernel 6.1",
            Lie.OLD_PROGRAM_RUNS: "/usr/bin/etcd: its SHA-256 is",
            Lie.SETTING_DRIFTS: "net.ipv4.conf.all.rp_filter",
            Lie.UNITS_RESTART: "no_churn: invalid",
            Lie.ONE_LEFT_BEHIND: "not 6.12.*",
        },
        "upgrade/test_rollback.py::test_one_server_goes_back_midway": {
            **_UNDER_LOAD,
            **_RESTART,
            Lie.UPGRADE_IGNORED: "it runs debian-12 on a disk of debian-13",
            Lie.UNITS_RESTART: "no_churn: invalid",
            Lie.SETTING_STAYS: "before → back",
        },
        "upgrade/test_rollback.py::test_all_go_back_before_the_last_was_upgraded_and_none_afterwards": {
            **_UNDER_LOAD,
            Lie.DATA_LOST_BY_RESTART: "expected",
            Lie.UPGRADE_IGNORED: "it runs debian-12 on a disk of debian-13",
            Lie.FORMAT_KEPT: "the data are of 3.5.0",
            Lie.RETURN_OFFERED: "nobody refused",
            Lie.OLD_PROGRAM_RUNS: "nothing_old: invalid",
            Lie.SETTING_STAYS: "before → back",
        },
        "upgrade/test_firmware_midway.py::test_servers_of_both_kinds_serve_as_one_and_one_goes_back": {
            # the last server is not led
            **{lie: word for lie, word in _FLASHED.items() if lie is not Lie.ONE_LEFT_BEHIND},
            Lie.REBOOT_IGNORED: "boot ID",
            Lie.MEMBER_MUTE: "does not answer",
        },
        **{
            f"upgrade/{name}": {**_FLASHED, **row}
            for name, row in {
                "test_firmware_interrupted.py::test_who_flashes_is_killed_at_every_boundary_and_resumed": {
                    Lie.REBOOT_IGNORED: "boot ID",
                    Lie.UPGRADE_IGNORED: "it gets no further",
                    Lie.ONE_LEFT_BEHIND: "it gets no further",
                },
                "test_firmware_under_fault.py::test_a_tor_that_is_lost_while_servers_are_flashed_delays_nobody": _FAULT,
                "test_firmware.py::test_servers_start_by_uefi_and_again_changes_nothing": {
                    Lie.REBOOT_IGNORED: "boot ID"
                },
                "test_firmware_back.py::test_all_servers_start_by_the_old_firmware_again": {
                    Lie.REBOOT_IGNORED: "boot ID"
                },
                "test_firmware.py::test_a_newer_uefi_has_the_variables_of_the_older_one_and_stays": {
                    Lie.FIRMWARE_RETURNS: "not at firmware-ovmf-2025.02: rack2-cs0 runs firmware-ovmf-2022.11",
                    Lie.UPGRADE_IGNORED: "rack0-cs0 runs SeaBIOS 1.16-1",
                    Lie.ONE_LEFT_BEHIND: "rack2-cs0 runs SeaBIOS 1.16-1",
                    Lie.VARIABLES_LOST: "not the variables of before",
                },
            }.items()
        },
        **{
            f"upgrade/test_routers.py::{name}": {**_UNDER_FLOWS, **row, Lie.UNITS_RESTART: "no_churn: invalid"}
            for name, row in {
                "test_every_router_gets_the_new_bird_and_packets_go_on_and_again_changes_nothing": _NEW_BIRD,
                "test_one_router_goes_back_midway_and_all_afterwards": _NEW_BIRD,
                "test_two_birds_at_once_route_as_one": {**_NEW_BIRD, Lie.SESSION_DOWN: "Connect"},
                "test_an_upgrade_of_routers_that_is_killed_at_every_boundary_is_resumed": _NEW_BIRD,
                "test_packets_go_over_a_router_that_restarts_while_its_neighbour_is_lost": {**_NEW_BIRD, **_FAULT},
            }.items()
        },
        **{
            f"upgrade/{name}": {**_UNDER_LOAD, **row}
            for name, row in {
                "test_components.py::test_a_rolling_upgrade_of_etcd_goes_unnoticed_and_again_changes_nothing": {
                    **_IN_PLACE,
                    **_PROVEN,
                },
                "test_components_back.py::test_members_go_back_before_the_last_was_upgraded_and_none_afterwards": {
                    **_IN_PLACE,
                    Lie.FORMAT_KEPT: "the data are of 3.5.0",
                    Lie.RETURN_OFFERED: "nobody refused",
                    Lie.SETTING_STAYS: "before → back",
                },
                "test_components.py::test_two_versions_of_etcd_serve_as_one": {
                    **_IN_PLACE,
                    Lie.SETTING_STAYS: "before → back",
                    Lie.MEMBER_MUTE: "does not answer",
                },
                "test_components_under_fault.py::test_a_full_disk_stops_the_step_that_brings_files_and_no_other": {
                    **_IN_PLACE,
                    **_FAULT,
                    Lie.FAILURE_UNTOLD: "rack0-cs0",
                    Lie.FILES_TORN: "rack0-cs0: /usr/bin/etcd is not what debian-12 has",
                    Lie.ONE_LEFT_BEHIND: "rack2-cs0",
                },
                "test_components_source_lost.py::test_a_source_that_is_lost_amid_a_file_leaves_the_old_one_whole": {
                    **_IN_PLACE,
                    Lie.FAULT_WITHOUT_EFFECT: '"Input/output error" stopped nobody',
                    Lie.FAILURE_UNTOLD: "rack0-cs0",
                    Lie.FILES_TORN: "rack0-cs0: /usr/bin/etcd is not what debian-12 has",
                    Lie.ONE_LEFT_BEHIND: "rack2-cs0",
                },
                "test_components_killed.py::test_an_upgrader_that_is_killed_while_it_brings_files_is_resumed": {
                    **_IN_PLACE,
                    **_PROVEN,
                    Lie.ONE_LEFT_BEHIND: "rack2-cs0",
                },
                "test_components_interrupted.py::test_an_upgrade_that_is_killed_at_every_boundary_is_resumed": {
                    **_IN_PLACE,
                    **_PROVEN,
                    Lie.UPGRADE_IGNORED: "it gets no further",
                },
            }.items()
        },
        **{
            f"upgrade/{name}": {**_UNDER_FLOWS, **_NEW_RUNTIME, **row}
            for name, row in {
                "test_kubernetes_in_place.py::"
                "test_another_container_runtime_goes_unnoticed_and_again_changes_nothing": {
                    Lie.SETTING_DRIFTS: "net.ipv4.conf.all.rp_filter",
                    Lie.OBJECTS_CHURN: "all to be settled",
                },
                "test_kubernetes.py::test_another_kubernetes_goes_unnoticed_and_again_changes_nothing": {
                    **_NEW_KUBERNETES,
                    Lie.SETTING_DRIFTS: "net.ipv4.conf.all.rp_filter",
                    Lie.OBJECTS_CHURN: "all to be settled",
                },
                "test_kubernetes_midway.py::test_two_kubernetes_serve_as_one_and_nodes_go_back": {
                    **_NEW_KUBERNETES,
                    Lie.SETTING_STAYS: "before → back",
                    Lie.PODS_RESTART: "all to be settled",
                    Lie.UNITS_RESTART: "all to be settled",
                    Lie.LOGS_EMPTY: "does not tell its name",
                },
                "test_kubernetes_midway.py::"
                "test_an_upgrade_of_kubernetes_that_is_killed_at_every_boundary_is_resumed": {
                    **_NEW_KUBERNETES,
                    Lie.SETTING_DRIFTS: "net.ipv4.conf.all.rp_filter",
                    Lie.OBJECTS_CHURN: "all to be settled",
                    Lie.ONE_LEFT_BEHIND: "it gets no further",
                    Lie.UPGRADE_IGNORED: "it gets no further",
                },
                "test_kubernetes_midway.py::test_two_runtimes_serve_as_one_and_nodes_go_back": {
                    Lie.SETTING_STAYS: "before → back",
                    Lie.PODS_RESTART: "all to be settled",
                    Lie.UNITS_RESTART: "all to be settled",
                    Lie.LOGS_EMPTY: "does not tell its name",
                },
                "test_kubernetes_midway.py::"
                "test_an_upgrade_that_is_killed_at_every_boundary_is_resumed_under_running_pods": {
                    Lie.SETTING_DRIFTS: "net.ipv4.conf.all.rp_filter",
                    Lie.OBJECTS_CHURN: "all to be settled",
                    Lie.ONE_LEFT_BEHIND: "it gets no further",
                    Lie.UPGRADE_IGNORED: "it gets no further",
                },
            }.items()
        },
        "upgrade/test_kubernetes_source_lost.py::"
        "test_a_source_that_is_lost_leaves_the_old_runtime_whole_and_pods_run_on": {
            **_UNDER_FLOWS,
            **_NEW_RUNTIME,
            Lie.FAULT_WITHOUT_EFFECT: '"Input/output error" stopped nobody',
            Lie.FAILURE_UNTOLD: "rack0-cp0",
            Lie.FILES_TORN: "is not what kubernetes-1.20 has",
        },
        "upgrade/test_kubernetes_drained.py::test_nodes_are_upgraded_without_their_pods_and_again_changes_nothing": {
            **_UNDER_FLOWS,
            Lie.UPGRADE_IGNORED: "it runs kubernetes-1.20",
            Lie.ONE_LEFT_BEHIND: "it runs kubernetes-1.20",
            Lie.SERVICE_NOT_RESTARTED: "to run the kube-apiserver that is in place",
            Lie.POD_REPLACED: "is gone",
            Lie.FAULT_WITHOUT_EFFECT: "is not drained",
            Lie.VOLUME_LOST: "lost through the volume",
            Lie.SETTING_DRIFTS: "net.ipv4.conf.all.rp_filter",
            Lie.OBJECTS_CHURN: "all to be settled",
        },
        **{
            f"upgrade/{name}": {**_UNDER_FLOWS, **_OPERATOR, **row}
            for name, row in {
                "test_operator.py::test_stored_objects_are_converted_under_their_users_and_again_changes_nothing": {},
                "test_operator_back.py::test_an_operator_goes_back_while_the_old_version_is_in_its_definition": {
                    Lie.FORMAT_KEPT: "for each object to be converted",
                },
                "test_operator_interrupted.py::test_an_upgrader_of_it_is_killed_at_every_boundary_and_resumed": {},
            }.items()
        },
        "upgrade/test_under_fault.py::test_a_tor_that_is_lost_during_each_step_delays_nobody": {
            **_UNDER_LOAD,
            **_FAULT,
            Lie.DATA_LOST_BY_RESTART: "expected",
            Lie.UPGRADE_IGNORED: "it runs debian-12 on a disk of debian-13",
            Lie.KERNEL_KEPT: "kernel 6.1",
            Lie.OLD_PROGRAM_RUNS: "/usr/bin/etcd: its SHA-256 is",
            Lie.SETTING_DRIFTS: "net.ipv4.conf.all.rp_filter",
            Lie.UNITS_RESTART: "no_churn: invalid",
            Lie.ONE_LEFT_BEHIND: "not 6.12.*",
        },
    }
)


@cache
def scenarios() -> Mapping[str, Scenario]:
    """Find every scenario there is: "suite/file::function" to function."""
    found: dict[str, Scenario] = {}
    for path in sorted((ROOT / "scenarios").glob("**/test_*.py")):
        spec = importlib.util.spec_from_file_location(f"_scenario_{path.parent.name}_{path.stem}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        place = path.relative_to(ROOT / "scenarios").as_posix()
        functions = inspect.getmembers(module, inspect.isfunction)
        found |= {f"{place}::{name}": function for name, function in functions if name.startswith("test_")}
    return found


def variants(scenario: Scenario) -> list[Mapping[str, Any]]:
    """Return the arguments that pytest would give besides fixtures, one mapping for each run."""
    extra = set(inspect.signature(scenario).parameters) - FIXTURES
    if not extra:
        return [{}]
    marks = [mark for mark in getattr(scenario, "pytestmark", []) if mark.name == "parametrize"]
    assert [{mark.args[0]} for mark in marks] == [extra], f"cannot run {scenario.__name__}"
    return [{marks[0].args[0]: value} for value in marks[0].args[1]]


@cache
def expanded(file: str) -> Topology:
    return expand(load(ROOT / "topologies" / file))


_RACKS = "racks: [{count: 3, servers: {cs: 1}}]\nroles: {cs: {memory: 512MiB}}\nexternal: {clients: 1}\n"
KINDS: Mapping[str, str] = MappingProxyType(
    {
        "ipv6": f"family: ipv6\n{_RACKS}",
        "dual_unnumbered_ibgp": (
            f"family: dual\nfabric: {{links: unnumbered}}\nrouting: {{rack: ibgp}}\noob: {{servers: true}}\n{_RACKS}"
        ),
        "five_stage": f"fabric: {{borders: 2, superspines: 2, pods: 2, spines: 2}}\n{_RACKS}",
        "ecmp_of_two_without_bfd": (
            "fabric: {spines: 3, tors: 3}\n"
            f"routing: {{ecmp: 2, bfd: {{enabled: false}}, server_bfd: {{enabled: false}}}}\n{_RACKS}"
        ),
        "uneven": (
            "racks: [{count: 2, servers: {cs: 1}}, {tors: 3, servers: {cs: 1}}]\nroles: {cs: {memory: 512MiB}}\n"
            "external: {clients: 1}\n"
        ),
        "more_beside": (
            "networks: {lab: {prefixes: [192.0.2.0/24]}}\nimages: {theirs: {file: theirs.img}}\n"
            "devices:\n  bench: {kind: client, interfaces: [{network: lab}]}\n"
            "  guest: {kind: server, server: {memory: 512MiB, image: theirs}, interfaces: [{network: lab}]}\n"
            f"  fw: {{kind: router, interfaces: [{{link: border0}}, {{network: lab}}]}}\n{_RACKS}"
        ),
    }
)
"""Data centres that are not as small.yml: those that scenarios must make sense on, too."""


_KUBERNETES = (
    "roles: {cp: {memory: 1GiB, data: 1GiB, pod_blocks: 1}, cs: {memory: 1GiB, data: 1GiB, pod_blocks: 1}}\n"
    "external: {clients: 1}\nrelease: kubernetes-1.20\npools: {load_balancer: 10.140.0.0/24}\n"
)
KUBERNETES_KINDS: Mapping[str, str] = MappingProxyType(
    {
        "one_control_plane": (
            f"racks: [servers: {{cp: 1}}, servers: {{cs: 1}}, servers: {{cs: 1}}]\nkubernetes: {{}}\n{_KUBERNETES}"
        ),
        "three_in_ipvs": (
            f"racks: [{{count: 3, servers: {{cp: 1, cs: 1}}}}]\nkubernetes: {{proxy: ipvs}}\n{_KUBERNETES}"
        ),
        "control_planes_alone": (
            f"racks: [{{count: 3, servers: {{cp: 1}}}}]\nkubernetes: {{domain: dc.example}}\n{_KUBERNETES}"
        ),
    }
)
"""Those with a Kubernetes."""


def wants(name: str, fixture: str) -> bool:
    if fixture == "kubernetes" and wants(name, "quiet"):
        return True
    return fixture in inspect.signature(scenarios()[name]).parameters


@pytest.mark.parametrize("kind", KUBERNETES_KINDS)
@pytest.mark.parametrize("name", [name for name in sorted(LIES) if not wants(name, "probe")])
def test_a_scenario_passes_on_every_kind_of_kubernetes(name: str, kind: str, tmp_path: Path) -> None:
    file = tmp_path / "kind.yml"
    file.write_text(f"name: kind\n{KUBERNETES_KINDS[kind]}")
    topology = expand(load(file))
    for arguments in variants(scenarios()[name]):
        assert played(topology, tmp_path, scenarios()[name], arguments).dirty() is None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", [name for name in sorted(LIES) if not wants(name, "kubernetes")])
def test_a_scenario_passes_on_every_kind_of_data_centre(name: str, kind: str, tmp_path: Path) -> None:
    file = tmp_path / "kind.yml"
    file.write_text(f"name: kind\n{KINDS[kind]}")
    topology = expand(load(file))
    for arguments in variants(scenarios()[name]):
        assert played(topology, tmp_path, scenarios()[name], arguments).dirty() is None


@pytest.fixture
def play(name: str, tmp_path: Path) -> Callable[..., FakeDataCenter]:
    """Run a scenario on a fresh fake data centre that tells these lies, and return it."""
    file = "k8s.yml" if wants(name, "kubernetes") else "small.yml"
    return partial(played, expanded(file), tmp_path)


def played(
    topology: Topology, folder: Path, scenario: Scenario, arguments: Mapping[str, Any], *lies: Lie
) -> FakeDataCenter:
    dc = FakeDataCenter(topology, folder, lies=lies)
    cluster = FakeKubernetes(dc) if topology.kubernetes else FakeCluster(dc)
    offered = {
        "dc": dc,
        "cluster": cluster,
        "kubernetes": cluster,
        "probe": FakeProbe(dc),
        "inject": partial(injected, dc),
        "dice": Random(1),
        "upgrades": FakeUpgrades(dc),
    }
    wanted = set(inspect.signature(scenario).parameters) & FIXTURES
    if "quiet" in wanted:
        assert isinstance(cluster, FakeKubernetes)
        offered["quiet"] = quiet(cluster)
    scenario(**{name: offered[name] for name in wanted}, **arguments)
    return dc


def test_every_scenario_has_a_row_and_every_row_a_scenario() -> None:
    assert scenarios()
    assert set(LIES) == set(scenarios())
    assert all(LIES.values())


@pytest.mark.parametrize("name", sorted(LIES))
def test_a_scenario_passes_on_an_honest_data_centre(name: str, play: Callable[..., FakeDataCenter]) -> None:
    for arguments in variants(scenarios()[name]):
        assert play(scenarios()[name], arguments).dirty() is None


@pytest.mark.parametrize(("name", "lie"), [(name, lie) for name in sorted(LIES) for lie in LIES[name]], ids=str)
def test_a_scenario_finds_the_lie(name: str, lie: Lie, play: Callable[..., FakeDataCenter]) -> None:
    for arguments in variants(scenarios()[name]):
        with _failing(LIES[name][lie]):
            play(scenarios()[name], arguments, lie)


@contextmanager
def _failing(word: str) -> Iterator[None]:
    with pytest.raises((AssertionError, VdcError)) as caught:
        yield
    assert word in str(caught.value), f"failed for another reason: {caught.value}"
