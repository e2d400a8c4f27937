"""What members of etcd are asked, as their gateway has it (etcd.io, "Why gRPC gateway")."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.kubernetes.examples import cluster
from vdc.cluster.kubernetes import members
from vdc.cluster.kubernetes.api import Answer
from vdc.cluster.kubernetes.members import Member, Members
from vdc.cluster.kubernetes.trust import Trust
from vdc.errors import ClusterError

SPEC = cluster("k8s.yml")
FIRST, SECOND, THIRD = SPEC.control_planes
LEADER = {"header": {"member_id": "11"}, "leader": "12", "version": "3.4.23"}
LEADERLESS = {"header": {"member_id": "11"}}


class Gateways:
    """Answers in the place of members, and notes what is asked: the address, the path and the question."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[tuple[str, str, Any]] = []
        self.answers: dict[tuple[str, str], Any] = {}
        monkeypatch.setattr(members, "ask", self._ask)

    def _ask(self, url: str, *, body: str, **_: object) -> Answer:
        host, path = url.removeprefix("https://").split(":2379/v3/")
        self.asked.append((host, path, json.loads(body)))
        said = self.answers.get((host, path), {} if path != "maintenance/status" else LEADER)
        if isinstance(said, Exception):
            raise said
        return Answer(status=200, body=json.dumps(said))


@pytest.fixture
def gateways(monkeypatch: pytest.MonkeyPatch) -> Gateways:
    return Gateways(monkeypatch)


def ask() -> Members:
    return Members(trust=Trust(ca=Path("/")), netns=None, timeout=1.0)


def test_members_are_told_by_id_name_and_whether_they_have_a_vote(gateways: Gateways) -> None:
    gateways.answers[str(FIRST.address), "cluster/member/list"] = {
        "members": [
            {"ID": "11", "name": "rack0-cp0", "peerURLs": ["https://a:2380"]},
            {"ID": "12", "peerURLs": ["https://b:2380"], "isLearner": True},
        ]
    }
    assert ask().list([FIRST]) == (
        Member(id="11", url="https://a:2380", name="rack0-cp0", learner=False),
        Member(id="12", url="https://b:2380", name="", learner=True),
    )


def test_changes_are_asked_for_once_through_a_member_that_knows_a_leader(gateways: Gateways) -> None:
    gateways.answers[str(FIRST.address), "maintenance/status"] = ClusterError("connection refused")
    gateways.answers[str(SECOND.address), "maintenance/status"] = LEADERLESS
    gateways.answers[str(THIRD.address), "cluster/member/add"] = ClusterError("timed out")
    with pytest.raises(ClusterError, match="timed out"):
        ask().add_learner(FIRST, [FIRST, SECOND, THIRD])
    changes = [each for each in gateways.asked if each[1] != "maintenance/status"]
    learner = {"peerURLs": [f"https://{FIRST.address}:2380"], "isLearner": True}
    assert changes == [(str(THIRD.address), "cluster/member/add", learner)]


def test_what_nobody_can_change_is_told_with_the_reasons(gateways: Gateways) -> None:
    gateways.answers[str(FIRST.address), "maintenance/status"] = ClusterError("connection refused")
    gateways.answers[str(SECOND.address), "maintenance/status"] = LEADERLESS
    with pytest.raises(ClusterError) as refused:
        ask().remove("11", [FIRST, SECOND])
    assert refused.value.message == ("no member of etcd answers: connection refused; etcd on rack1-cp0 knows no leader")


def test_a_member_is_promoted_removed_relieved_and_read_by_these_questions(gateways: Gateways) -> None:
    ask().promote("12", [FIRST])
    ask().remove("12", [FIRST])
    ask().move_leader(FIRST, "12")
    ask().read(FIRST)
    assert [each[1:] for each in gateways.asked if each[1] != "maintenance/status"] == [
        ("cluster/member/promote", {"ID": "12"}),
        ("cluster/member/remove", {"ID": "12"}),
        ("maintenance/transfer-leadership", {"targetID": "12"}),
        ("kv/range", {"key": "dmRj"}),
    ]
