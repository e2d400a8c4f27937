"""No secret leaves the data centre with the evidence."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vdc.evidence.redaction import REDACTED, Redactor, secrets_of, without_secrets

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
