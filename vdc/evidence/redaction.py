"""Keeps secrets out of what is handed on. Pure.

Two roads lead to the same end: what looks like a secret is taken out wherever it stands, and what is known to be one is
taken out even where it looks like nothing. The forms are those of PEM (RFC 7468), JSON Web Tokens (RFC 7519), bearer
and basic credentials (RFC 6750, RFC 7617), user information in URLs (RFC 3986), crypt(5) and bootstrap tokens of
Kubernetes (kubernetes.io, "Authenticating with Bootstrap Tokens").
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

REDACTED: Final = "[redacted]"

_SHORTEST: Final = 8
"""Characters. What is shorter is found in many a text that tells nothing."""

_PUBLIC: Final = frozenset({"namespace", "ca.crt"})
"""Keys of Secrets whose values everybody may know (those of service accounts)."""

_LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"

_WHOLE: Final = tuple(
    re.compile(pattern, re.DOTALL)
    for pattern in (
        # where the end is missing, all that can be of the key
        r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----(?:.*?-----END [A-Z0-9 ]*PRIVATE KEY-----|[A-Za-z0-9+/=\s\\]*)",
        r"LS0tLS1CRUdJTi[A-Za-z0-9+/=]{20,}",  # PEM in base64, as in a kubeconfig
        r"\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}",
        r"(?<![\w.-])[a-z0-9]{6}\.[a-z0-9]{16}\b",
        r"\$(?:1|2[aby]?|5|6|7|y|gy)\$[\w./$,=-]{20,}",
    )
)
_NAMES: Final = r"(?:password|passwd|passphrase|secret|api[_-]?key|private[_-]?key|key-data|token)"
_QUOTE: Final = r"\\*[\"']"  # as it is, or escaped in a text that is quoted itself
_VALUE: Final = rf"(?:,\s{{0,40}})?(?:{_QUOTE})?value(?:{_QUOTE})?\s?[:=]"  # behind the name of a Pod's variable
_ASSIGNED: Final = rf"{_NAMES}(?:{_QUOTE})?\s{{0,40}}(?:[:=]|{_VALUE})[ \t]*"
_OPTION: Final = rf"--(?:\w[\w-]*)?{_NAMES}(?:[ \t]+|{_QUOTE},\s*)"  # the last in a list of arguments
_BEFORE: Final = rf"(?:{_ASSIGNED}|{_OPTION}|(?:password|passwd|passphrase)[ \t]+(?=[\\\"']))"
_DONE: Final = r"(?!\[redacted\])"
_END: Final = r"\s\"'\\,;})\]"
"""What may end a value that is in no quotes; where more of a word follows, it is a part of the value."""

_WORD: Final = (
    rf"{_DONE}(?!(?:null|true|false|none)(?:[{_END}]|$))(?=[^{_END}{{\[])"
    rf"(?:[^{_END}]|[,;}})\]]+(?=[^{_END}])|\\+(?![\"'\\])|(?<=[^\s,;:{{\[(=])\\*[\"'](?=[^{_END}]))"
)
_PART: Final = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?i)(\b(?:bearer|basic)\s+)[\w.~+/=-]{8,}",
        r"(\w://[^\s/:@]*:)[^\s/\"']+(?=@)",
        # a plain value of YAML goes to the end of its line
        rf"(?im)(^[ \t]*(?:- )?[\"']?[\w.-]*{_NAMES}[\"']?:[ \t]+)(?!\[redacted\]|(?:null|true|false)\s*$)"
        r"(?=[^\s\"'\\{\[|>&*!])[^\n]{4,}",
        rf"(?i)({_BEFORE}(?P<quote>[\"'])){_DONE}(?:''|(?!(?P=quote))(?:\\.|[^\\\n]))+",
        rf"(?i)({_BEFORE}(?P<quote>\\+[\"'])){_DONE}(?:(?!(?P=quote))(?:\\++.|[^\\\n]))+",
        rf"(?i)({_ASSIGNED}){_WORD}{{4,}}",
        rf"(?i)({_OPTION}|--(?:\w[\w-]*)?{_NAMES}=){_WORD}+",
    )
)
"""What stands before the secret is the group, which stays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Redactor:
    """Takes secrets out of texts; `known` are some that are known as such."""

    known: frozenset[str] = frozenset()

    def redact(self, text: str) -> tuple[str, int]:
        """Return a text without secrets, and how many were taken out."""
        found = 0
        for secret in sorted(self.known, key=len, reverse=True):  # one may hold another
            found += text.count(secret)
            text = text.replace(secret, REDACTED)
        for pattern in _WHOLE:
            text, number = pattern.subn(REDACTED, text)
            found += number
        for pattern in _PART:
            text, number = pattern.subn(rf"\g<1>{REDACTED}", text)
            found += number
        return text, found

    def knowing(self, secrets: Iterable[str]) -> Redactor:
        """Return one that knows these, too: as they are, in base64, and each of their lines.

        Of a key in PEM it is the first line that holds some of it: its whole is known by its form. What a text in JSON
        escapes is known escaped, too.
        """
        found: set[str] = set()
        for secret in secrets:
            lines = [line.strip() for line in secret.splitlines()]
            if lines and lines[0].startswith("-----BEGIN "):
                found.update(lines[1:2])
            else:
                both = {secret, secret.strip(), *lines}
                found |= both - {secret} | {json.dumps(each)[1:-1] for each in both}
                found |= {base64.b64encode(each.encode()).decode() for each in both if len(each) >= _SHORTEST}
        return Redactor(known=self.known | {each for each in found if len(each) >= _SHORTEST})


def secrets_of(objects: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the values that Secrets of Kubernetes hold, as they are."""
    for each in objects:
        if each.get("kind") == "Secret":
            for name, value in (each.get("data") or {}).items():
                if name not in _PUBLIC:
                    yield _decoded(str(value))
            yield from (str(value) for name, value in (each.get("stringData") or {}).items() if name not in _PUBLIC)


def without_secrets(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object without the data of a Secret, and without what only tells who wrote which field."""
    metadata = {name: value for name, value in manifest.get("metadata", {}).items() if name != "managedFields"}
    annotations = {name: value for name, value in metadata.get("annotations", {}).items() if name != _LAST_APPLIED}
    if "annotations" in metadata:
        metadata["annotations"] = annotations
    told = {**manifest, "metadata": metadata}
    if manifest.get("kind") == "Secret":
        for field in ("data", "stringData"):
            if field in told:
                told[field] = dict.fromkeys(told[field] or {}, REDACTED)
    return told


def without_seeds(plan: str) -> str:
    """Return a plan (JSON) without the texts that its guests are configured by: their secrets have no form.

    Raises ValueError: it is no JSON.
    """
    return json.dumps(_seedless(json.loads(plan)), indent=2, ensure_ascii=False) + "\n"


def _seedless(node: object) -> object:
    if isinstance(node, list):
        return [_seedless(each) for each in node]
    if not isinstance(node, dict):
        return node
    texts = {"user_data", "network_config", "ignition"} | ({"text"} if node.get("kind") == "IgnitionFile" else set())
    told = {name: REDACTED if name in texts and value is not None else _seedless(value) for name, value in node.items()}
    if node.get("kind") == "SeedDisk":
        told["files"] = dict.fromkeys(node.get("files") or {}, REDACTED)
    return told


def _decoded(value: str) -> str:
    try:
        return base64.b64decode(value, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return value
