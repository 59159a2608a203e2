"""Service properties: their stored form, and their XML (docs/wire/blobs.md, section 5.4).

CORS rules and the default version take effect. Logging, metrics, deletion and static websites are stored
without effect (`service_settings`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from xml.etree.ElementTree import Element

from retain.api.blobs.sas.fields import is_version
from retain.api.blobs.wire.errors import AzureError
from retain.api.blobs.wire.escape import DECLARATION, escape
from retain.api.blobs.xml.read import child_texts, parse_document
from retain.api.blobs.xml.service_settings import DEFAULTS, Setting, parse_setting, setting_element

MAX_RULES: Final = 5
_METHODS: Final = frozenset(
    {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "MERGE", "PATCH", "CONNECT", "TRACE"}
)
_RULE_FIELDS: Final = (
    "AllowedOrigins",
    "AllowedMethods",
    "AllowedHeaders",
    "ExposedHeaders",
    "MaxAgeInSeconds",
)

_VISIBLE: Final = re.compile("[!-~]{1,256}")


@dataclass(frozen=True, slots=True)
class CorsRule:
    """One CORS rule: origins, methods and header names, each a comma list in the document; age in seconds."""

    origins: tuple[str, ...]
    methods: tuple[str, ...]
    allowed: tuple[str, ...]
    exposed: tuple[str, ...]
    max_age: int


@dataclass(frozen=True, slots=True)
class ServiceProperties:
    """The stored properties of an account.

    Its CORS rules, at most five; the version of requests that name none; and the settings without effect, by
    element.
    """

    cors: tuple[CorsRule, ...] = ()
    default_version: str | None = None
    settings: Mapping[str, Setting] = field(default_factory=dict)

    @classmethod
    def stored(cls, document: Mapping[str, Any] | None) -> ServiceProperties:
        """Return the properties in the document that the engine stores; None if none were ever set."""
        if document is None:
            return cls()
        rules = (
            CorsRule(tuple(origins), tuple(methods), tuple(allowed), tuple(exposed), age)
            for origins, methods, allowed, exposed, age in document.get("cors", ())
        )
        return cls(tuple(rules), document.get("default_version"), document.get("settings", {}))

    @property
    def asks_soft_delete(self) -> bool:
        """Whether the account's clients asked that deleted blobs be kept, which this server never does."""
        return self.settings.get("DeleteRetentionPolicy", {}).get("Enabled") == "true"

    def to_xml(self) -> bytes:
        """Return the body of Get Blob Service Properties."""
        rules = "".join(map(_rule_element, self.cors))
        cors = f"<Cors>{rules}</Cors>" if rules else "<Cors />"
        version = (
            ""
            if self.default_version is None
            else f"<DefaultServiceVersion>{self.default_version}</DefaultServiceVersion>"
        )
        settings = {
            name: setting_element(name, self.settings.get(name, default))
            for name, default in DEFAULTS.items()
        }
        first = "".join(settings[name] for name in ("Logging", "HourMetrics", "MinuteMetrics"))
        last = settings["DeleteRetentionPolicy"] + settings["StaticWebsite"]
        return (
            f"{DECLARATION}<StorageServiceProperties>{first}{cors}{version}{last}</StorageServiceProperties>"
        ).encode()


def parse_properties(body: bytes) -> dict[str, Any]:
    """Return what the body of Set Blob Service Properties changes, in the form that `stored` reads.

    Raises AzureError: InvalidXmlDocument, InvalidXmlNodeValue, MissingRequiredXmlNode, or
    UnsupportedXmlNode for an unknown element.
    """
    changed: dict[str, Any] = {}
    settings: dict[str, Setting] = {}
    for element in parse_document(body, "StorageServiceProperties"):
        if element.tag == "Cors":
            rules = list(map(_rule, element))
            if len(rules) > MAX_RULES:
                raise AzureError("InvalidXmlDocument")
            changed["cors"] = [
                [list(r.origins), list(r.methods), list(r.allowed), list(r.exposed), r.max_age] for r in rules
            ]
        elif element.tag == "DefaultServiceVersion":
            version = (element.text or "").strip() or None
            if version is not None and not is_version(version):
                raise _bad_value(element.tag, version)
            changed["default_version"] = version
        elif element.tag in DEFAULTS:
            settings[element.tag] = parse_setting(element)
        else:
            raise _unsupported(element.tag)
    return {**changed, "settings": settings}


def _rule(element: Element) -> CorsRule:
    texts = child_texts(element)
    if element.tag != "CorsRule" or not texts.keys() <= set(_RULE_FIELDS):
        raise AzureError("InvalidXmlDocument")
    lists = [_list(name, texts.get(name, "")) for name in _RULE_FIELDS[:4]]
    age = texts.get("MaxAgeInSeconds", "0").strip()
    if not lists[0]:
        raise AzureError("MissingRequiredXmlNode", extras=(("XmlNodeName", "AllowedOrigins"),))
    if not lists[1] or not _METHODS.issuperset(lists[1]):
        raise _bad_value("AllowedMethods", texts.get("AllowedMethods", ""))
    if not age.isascii() or not age.isdigit() or len(age) > 9:
        raise _bad_value("MaxAgeInSeconds", age)
    return CorsRule(lists[0], lists[1], lists[2], lists[3], int(age))


def _list(name: str, text: str) -> tuple[str, ...]:
    """Return a comma list whose parts a header can carry. Raises AzureError InvalidXmlNodeValue."""
    parts = tuple(part.strip() for part in text.split(",") if part.strip())
    if not all(_VISIBLE.fullmatch(part) for part in parts):
        raise _bad_value(name, text)
    return parts


def _rule_element(rule: CorsRule) -> str:
    values = (rule.origins, rule.methods, rule.allowed, rule.exposed)
    lists = "".join(
        f"<{name}>{escape(','.join(value))}</{name}>"
        for name, value in zip(_RULE_FIELDS, values, strict=False)
    )
    return f"<CorsRule>{lists}<MaxAgeInSeconds>{rule.max_age}</MaxAgeInSeconds></CorsRule>"


def _unsupported(name: str) -> AzureError:
    return AzureError("UnsupportedXmlNode", extras=(("XmlNodeName", name),))


def _bad_value(name: str, value: str) -> AzureError:
    return AzureError("InvalidXmlNodeValue", extras=(("XmlNodeName", name), ("XmlNodeValue", value)))
