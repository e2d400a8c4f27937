"""No secret leaves the data centre with the evidence."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vdc.evidence.redaction import REDACTED, Redactor, secrets_of, without_secrets, without_seeds

KEY = (
    "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\nQyNTUxOQAAACB1\n-----END OPENSSH PRIVATE KEY-----\n"
)
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJrdWJlcm5ldGVzIn0.c2lnbmF0dXJlLW9mLWl0"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"before\n{KEY}after", "QyNTUxOQAAACB1"),
        (KEY.partition("-----END")[0], "QyNTUxOQAAACB1"),
        ("\n".join(f"12:00:01 cs0 app: {line}" for line in KEY.splitlines()), "QyNTUxOQAAACB1"),
        (json.dumps({"key": KEY}), "QyNTUxOQAAACB1"),
        (f"client-key-data: {base64.b64encode(KEY.encode()).decode()}", "LS0tLS1CRUdJTi"),
        (f"got {JWT} from it", "c2lnbmF0dXJl"),
        ("Authorization: Bearer abcdefgh.12345-xyz", "abcdefgh"),
        ("Authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
        ("GET http://admin:hunter22@example.org/ 200", "hunter22"),
        ("--token=abcdef.0123456789abcdef joined", "0123456789abcdef"),
        ("use abcdef.0123456789abcdef", "0123456789abcdef"),
        ("root:$6$salt$aBcDeFgHiJkLmNoPqRsTuVwXyZ0123:19000:0", "aBcDeFgH"),
        ("DB_PASSWORD=correcthorse", "correcthorse"),
        ('{"password": "correct horse"}', "correct"),
        (json.dumps(json.dumps({"secret": "correcthorse"})), "correcthorse"),
        ("api_key: 'correcthorse'", "correcthorse"),
        ('{"password": "correct horse"}', "correct horse"),
        ('{"password": "ab,cdefgh", "user": "root"}', "ab,cdefgh"),
        (json.dumps({"password": 'a"b, c\\d}; e'}), json.dumps('a"b, c\\d}; e')[1:-1]),
        (json.dumps({"text": json.dumps({"password": 'correct "horse", b'})}), "horse"),
        ("password: 'it''s a horse'", "s a horse"),
        ("spec:\n  password: correct horse battery\n", "correct horse battery"),
        ("PASSWORD=ab,cd;ef)gh next", "ab,cd;ef)gh"),
        ('12 ? root 7 app --password x"y,z --verbose', 'x"y,z'),
        ("app --token x", "x"),
        ("app --db-password='correct horse'", "correct horse"),
        (json.dumps(["app", "--token", "correct horse"]), "correct horse"),
        (json.dumps([{"name": "DB_PASSWORD", "value": "correct horse"}]), "correct horse"),
        ("- name: DB_PASSWORD\n  value: correcthorse\n", "correcthorse"),
        ('bgp spine0 { password "correct horse"; }', "correct horse"),
        ("GET http://admin:hunt@er22@example.org/ 200", "hunt@er22"),
    ],
)
def test_what_looks_like_a_secret_is_taken_out(text: str, secret: str) -> None:
    clean, found = Redactor().redact(text)
    assert secret not in clean
    assert REDACTED in clean
    assert found >= 1


@pytest.mark.parametrize(
    "text",
    [
        "12:00:01 bird: rack0-tor0: State changed to up",
        "10.64.0.1/32 via 10.0.0.3 dev eth0 proto bird metric 32",
        'volumes: [{"secretName": "web-tls"}]',
        "commit 6fdaed28f9b0a1c2d3e4f5a6b7c8d9e0f1a2b3c4",
        "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIU\n-----END CERTIFICATE-----",
        "web-7d4b9c5d4-x2x9k.17a8b2c3d4e5f607 Scheduled",
        '{"automountServiceAccountToken": false, "token": null, "password": ""}',
        'secret "web-tls" not found',
        "secret:\n  secretName: web-tls",
        '{"secret": {"secretName": "web-tls"}}',
    ],
)
def test_what_is_none_stays_as_it_is(text: str) -> None:
    assert Redactor().redact(text) == (text, 0)


@given(st.text(alphabet=st.characters(codec="ascii", categories=["L", "N"]), min_size=8), st.text(), st.text())
def test_what_is_known_as_a_secret_is_never_left(secret: str, before: str, after: str) -> None:
    redactor = Redactor().knowing([f"{secret}\n"])
    encoded = base64.b64encode(secret.encode()).decode()
    clean, _ = redactor.redact(f"{before} {secret} {encoded} {after}")
    assert secret not in clean.replace(REDACTED, "")
    assert encoded not in clean


def test_of_a_key_even_a_line_without_its_frame_is_known() -> None:
    clean, found = Redactor().knowing([KEY]).redact("it said b3BlbnNzaC1rZXktdjEAAAAA")
    assert (clean, found) == (f"it said {REDACTED}", 1)


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Z"]), min_size=1)
SENTENCES = st.lists(TEXTS, min_size=1, max_size=4).map(" ".join).filter(lambda text: "[redacted]" not in text)


@given(SENTENCES)
def test_a_value_in_json_is_taken_out_whole_and_nothing_else_is(secret: str) -> None:
    clean, _ = Redactor().redact(json.dumps({"password": secret, "user": "it"}))
    assert json.loads(clean) == {"password": REDACTED, "user": "it"}


@given(SENTENCES.filter(lambda text: len(text) >= 8), st.integers(1, 3))
def test_a_value_in_json_that_is_itself_in_json_is_taken_out(secret: str, depth: int) -> None:
    text, escaped = json.dumps({"password": secret}), json.dumps(secret)[1:-1]
    for _ in range(depth):
        text, escaped = json.dumps({"text": text}), json.dumps(escaped)[1:-1]
    assert escaped not in Redactor().redact(text)[0]


def test_what_is_known_is_known_in_json_too() -> None:
    clean, _ = Redactor().knowing(['say "correct horse"\n']).redact(json.dumps({"x": 'say "correct horse"'}))
    assert clean == f'{{"x": "{REDACTED}"}}'


def test_a_plan_keeps_all_but_the_texts_guests_are_configured_by() -> None:
    plan: dict[str, Any] = {
        "topology": {"servers": [{"name": "a", "user_data": "root:hunter2", "ignition": None}]},
        "resources": [
            {"kind": "SeedDisk", "server": "a", "files": {"user-data": "chpasswd: root:hunter2"}},
            {"kind": "IgnitionFile", "server": "a", "text": "root:hunter2"},
            {"kind": "TextFile", "text": "router id 1"},
        ],
    }
    clean = without_seeds(json.dumps(plan))
    assert "hunter2" not in clean
    assert json.loads(clean)["resources"][0] == {"kind": "SeedDisk", "server": "a", "files": {"user-data": REDACTED}}
    assert json.loads(clean)["resources"][2] == plan["resources"][2]
    assert json.loads(clean)["topology"] == {"servers": [{"name": "a", "user_data": REDACTED, "ignition": None}]}


def test_too_short_a_secret_is_not_looked_for() -> None:
    assert Redactor().knowing(["true"]).known == frozenset()


def test_a_secret_of_kubernetes_keeps_its_name_and_loses_its_data() -> None:
    data = {"password": base64.b64encode(b"correct horse").decode(), "namespace": "a3ViZS1zeXN0ZW0="}
    annotations = {"kubectl.kubernetes.io/last-applied-configuration": "{password: …}", "kept": "yes"}
    secret = {
        "kind": "Secret",
        "metadata": {"name": "web", "managedFields": ["long"], "annotations": annotations},
        "data": data,
        "stringData": {"user": "somebody else"},
    }
    assert without_secrets(secret) == {
        "kind": "Secret",
        "metadata": {"name": "web", "annotations": {"kept": "yes"}},
        "data": {"password": REDACTED, "namespace": REDACTED},
        "stringData": {"user": REDACTED},
    }
    assert list(secrets_of([secret, {"kind": "Pod", "metadata": {}}])) == ["correct horse", "somebody else"]


def test_other_objects_keep_what_they_say() -> None:
    pod = {"kind": "Pod", "metadata": {"name": "web"}, "data": {"page": "hello"}}
    assert without_secrets(pod) == pod
