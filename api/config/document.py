"""Document the configuration, from the same fields that the loader checks.

`commented_file` is what `retain init` writes; `page` is `docs/configuration.md`.
"""

from __future__ import annotations

import dataclasses
import json
import textwrap

from retain.api.config.fields import ConfigKey, keys_of
from retain.api.config.load import PREFIX, SECTIONS, TABLES

WIDTH = 100


def _toml(value: object) -> str:
    """Return `value` in TOML; strings, lists of strings and booleans of JSON are valid TOML."""
    if isinstance(value, tuple):
        value = list(value)
    return json.dumps(value, ensure_ascii=False)


def _bounds(key: ConfigKey) -> str:
    rule = key.rule
    if rule.choices:
        return " or ".join(rule.choices)
    if rule.minimum is not None and rule.maximum is not None:
        return f"{rule.minimum} to {rule.maximum}"
    return f"at least {rule.minimum}" if rule.minimum is not None else ""


def _shown(key: ConfigKey) -> str:
    """Return the key's line: its default, or an example if it has none."""
    example = key.needed or key.default in (None, (), "")
    value = key.rule.example if example and key.rule.example is not None else key.default
    return f"# {key.name} = {_toml('' if value is None else value)}"


def commented_file() -> str:
    """Return a configuration file in which every key is commented out."""
    lines = [
        "# Retain's configuration. Every key is optional. Commented-out lines show the default, or an",
        f"# example if there is none. The environment overrides it: {PREFIX}SERVER_BIND=127.0.0.1:9090.",
    ]
    for name, section in [*SECTIONS.items(), *TABLES.items()]:
        doc = (section.__doc__ or "").strip().splitlines()[0]
        opener = f"[{name}]" if name in SECTIONS else f"# [[{name}]]"
        lines += ["", *_comment(doc), opener]
        for key in keys_of(section):
            bounds = _bounds(key)
            lines += [*_comment(key.rule.doc + (f" ({bounds})" if bounds else "")), _shown(key)]
    return "\n".join(lines) + "\n"


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)


def reference() -> str:
    """Return one table per section, in Markdown."""
    parts = []
    for name, section in [*SECTIONS.items(), *TABLES.items()]:
        opener = f"[{name}]" if name in SECTIONS else f"[[{name}]]"
        doc = (section.__doc__ or "").strip().splitlines()[0]
        rows = ["| key | default | meaning |", "| --- | --- | --- |"]
        for key in keys_of(section):
            default = "required" if key.needed else _default(key)
            notes = " ".join(
                part for part in (key.rule.doc, f"({_bounds(key)})" if _bounds(key) else "") if part
            )
            rows.append(f"| `{key.name}` | {default} | {notes.replace('|', chr(92) + '|')} |")
        parts.append("\n".join([f"### `{opener}`", "", doc, "", *rows]))
    return "\n\n".join(parts) + "\n"


PREAMBLE = f"""\
# Configuration

The configuration is one TOML file, and all of it is optional. `retain init` writes a file that explains every
key and sets none. `retain serve --config FILE` reads it; without `--config`, the file in `RETAIN_CONFIG` or
`./retain.toml` is read.

Every key of a table that occurs once can be given in the environment, as `{PREFIX}` + section + `_` + key in
capitals: `{PREFIX}SERVER_BIND=127.0.0.1:9090`,
`{PREFIX}AREAS_CORS_ALLOWED_ORIGINS=https://a.example,https://b.example`. The environment overrides the
file, the options of a command override both. Variables whose second word is not a section are ignored, and
so are those that Kubernetes sets for a Service, such as `{PREFIX}SERVER_SERVICE_HOST`.

Secrets can come as files: where `CREDENTIALS_DIRECTORY` names a folder, as systemd's `LoadCredential=` does,
a file in it called `section.key`, such as `identity.jwt_secret`, gives that key. For a key that names a file,
such as `server.tls_key`, it is that file. Credentials override the configuration file, the environment
overrides both. Commands that you type do not see a unit's credentials, so the configuration file names the
path of the TLS key: `tls_key = "/run/credentials/retain.service/server.tls_key"`.

An unknown key, a wrong type or an invalid value stops the start with exit code 2 and a message that names the
file, the key and the reason. So does an address that other machines can reach without TLS, unless
`behind_proxy` or `insecure_bind` allows it. Relative paths in the file start at the file's folder.

`make fix` generates this page from the fields that the loader checks.

## Keys

"""


def page() -> str:
    """Return the text of `docs/configuration.md`."""
    return PREAMBLE + reference()


def _default(key: ConfigKey) -> str:
    if key.default is dataclasses.MISSING or key.default in (None, (), ""):
        return "none"
    return f"`{_toml(key.default)}`"
