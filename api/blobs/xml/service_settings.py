"""Service properties that are stored without effect: logging, metrics, deletion, static website.

Azure's clients read back the properties they set, and stop if one is missing. `docs/blobs.md` lists them. A
setting is kept as it is written: elements and their texts in order.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final
from xml.etree.ElementTree import Element

from retain.api.blobs.wire.errors import AzureError
from retain.api.blobs.wire.escape import escape

Setting = Mapping[str, "str | Setting"]
"""The children of an element: text, or children again."""

MAX_DAYS: Final = 365
MAX_TEXT: Final = 1024

_OFF: Final[Setting] = {"Enabled": "false"}
_METRICS: Final[Setting] = {"Version": "1.0", "Enabled": "false", "RetentionPolicy": _OFF}

DEFAULTS: Final[Mapping[str, Setting]] = {
    "Logging": {
        "Version": "1.0",
        "Delete": "false",
        "Read": "false",
        "Write": "false",
        "RetentionPolicy": _OFF,
    },
    "HourMetrics": _METRICS,
    "MinuteMetrics": _METRICS,
    "DeleteRetentionPolicy": _OFF,
    "StaticWebsite": _OFF,
}
"""The values of an account that never set them."""

_VERSION: Final = re.compile(r"[12]\.0", re.ASCII)
_PAGES: Final = ("IndexDocument", "DefaultIndexDocumentPath", "ErrorDocument404Path")


def parse_setting(element: Element) -> Setting:
    """Return the setting in an element that DEFAULTS names, completed as Azure completes it.

    Raises AzureError: MissingRequiredXmlNode, InvalidXmlNodeValue, UnsupportedXmlNode for an unknown child,
    InvalidXmlDocument for a child given twice.
    """
    return _READERS[element.tag](element)


def setting_element(name: str, setting: Setting) -> str:
    """Return the XML of a setting."""
    inner = "".join(
        f"<{key}>{escape(value)}</{key}>" if isinstance(value, str) else setting_element(key, value)
        for key, value in setting.items()
    )
    return f"<{name}>{inner}</{name}>"


def _logging(element: Element) -> Setting:
    found = _children(element, "Version", "Delete", "Read", "Write", "RetentionPolicy")
    flags = {name: _flag(found, name) for name in ("Delete", "Read", "Write")}
    return {"Version": _version(found), **flags, "RetentionPolicy": _retention(found)}


def _metrics(element: Element) -> Setting:
    found = _children(element, "Version", "Enabled", "IncludeAPIs", "RetentionPolicy")
    setting = {"Version": _version(found), "Enabled": _flag(found, "Enabled")}
    if setting["Enabled"] == "true":
        setting["IncludeAPIs"] = _flag(found, "IncludeAPIs")
    return {**setting, "RetentionPolicy": _retention(found)}


def _delete_retention(element: Element) -> Setting:
    found = _children(element, "Enabled", "Days", "AllowPermanentDelete")
    setting = _policy(found)
    if "AllowPermanentDelete" in found:
        setting["AllowPermanentDelete"] = _flag(found, "AllowPermanentDelete")
    return setting


def _website(element: Element) -> Setting:
    found = _children(element, "Enabled", *_PAGES)
    setting = {"Enabled": _flag(found, "Enabled")}
    for name in _PAGES if setting["Enabled"] == "true" else ():
        text = _text(found, name)
        if len(text) > MAX_TEXT:
            raise _bad_value(name, text)
        if text:
            setting[name] = text
    return setting


_READERS: Final[Mapping[str, Callable[[Element], Setting]]] = {
    "Logging": _logging,
    "HourMetrics": _metrics,
    "MinuteMetrics": _metrics,
    "DeleteRetentionPolicy": _delete_retention,
    "StaticWebsite": _website,
}


def _children(element: Element, *names: str) -> dict[str, Element]:
    found: dict[str, Element] = {}
    for child in element:
        if child.tag not in names:
            raise AzureError("UnsupportedXmlNode", extras=(("XmlNodeName", f"{element.tag}/{child.tag}"),))
        if child.tag in found or (len(child) and child.tag != "RetentionPolicy"):
            raise AzureError("InvalidXmlDocument")
        found[child.tag] = child
    return found


def _retention(found: Mapping[str, Element]) -> Setting:
    policy = found.get("RetentionPolicy")
    return _OFF if policy is None else _policy(_children(policy, "Enabled", "Days"))


def _policy(found: Mapping[str, Element]) -> dict[str, str]:
    enabled = _flag(found, "Enabled")
    if enabled == "false":
        return {"Enabled": enabled}
    if "Days" not in found:
        raise _missing("Days")
    days = _text(found, "Days")
    if not days.isascii() or not days.isdigit() or len(days) > 9 or not 1 <= int(days) <= MAX_DAYS:
        raise _bad_value("Days", days)
    return {"Enabled": enabled, "Days": str(int(days))}


def _version(found: Mapping[str, Element]) -> str:
    version = _text(found, "Version") or "1.0"
    if _VERSION.fullmatch(version) is None:
        raise _bad_value("Version", version)
    return version


def _flag(found: Mapping[str, Element], name: str) -> str:
    if name not in found:
        raise _missing(name)
    text = _text(found, name)
    if text.lower() not in ("true", "false"):
        raise _bad_value(name, text)
    return text.lower()


def _text(found: Mapping[str, Element], name: str) -> str:
    element = found.get(name)
    return "" if element is None else (element.text or "").strip()


def _missing(name: str) -> AzureError:
    return AzureError("MissingRequiredXmlNode", extras=(("XmlNodeName", name),))


def _bad_value(name: str, value: str) -> AzureError:
    return AzureError("InvalidXmlNodeValue", extras=(("XmlNodeName", name), ("XmlNodeValue", value)))
