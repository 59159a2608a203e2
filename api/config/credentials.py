"""Keys that a service manager hands over as files: systemd's `LoadCredential=`, secrets of containers.

A file `section.key` in the folder that `CREDENTIALS_DIRECTORY` names gives that key's value, so that no
secret is in the configuration or in the environment. Source: systemd.exec(5), *Credentials*.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from pathlib import Path
from typing import Final

from retain.api.config.fields import ConfigError

VARIABLE: Final = "CREDENTIALS_DIRECTORY"
MOST_BYTES: Final = 65536
"""Longest credential; systemd allows 1 MiB, and no key needs as much."""


def credentials(
    environ: Mapping[str, str], sections: Container[str], paths: Container[tuple[str, str]]
) -> Iterator[tuple[str, str, str, str]]:
    """Yield (file, section, key, value) for each credential that is meant for the configuration.

    The value is the file's content without the line break at its end; for a key that names a file, it is the
    path of the credential. Files whose names do not begin with a section are other programs'.

    Args:
        environ: The environment.
        sections: The known sections.
        paths: The keys that name files, as (section, key).

    Raises:
        ConfigError: A credential cannot be read.

    """
    folder = environ.get(VARIABLE)
    if not folder:
        return
    try:
        found = sorted(path for path in Path(folder).iterdir() if path.name.partition(".")[0] in sections)
    except OSError as error:
        reason = f"{VARIABLE} names a folder that cannot be read: {error.strerror or error}"
        raise ConfigError(folder, "", reason) from None
    for path in found:
        section, _, key = path.name.partition(".")
        yield str(path), section, key, str(path) if (section, key) in paths else _content(path)


def _content(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise ConfigError(str(path), "", f"is longer than {MOST_BYTES} bytes")
        return data.decode().rstrip("\r\n")
    except OSError as error:
        raise ConfigError(str(path), "", error.strerror or "cannot be read") from None
    except UnicodeDecodeError:
        raise ConfigError(str(path), "", "is not UTF-8") from None


def is_credential(path: str, environ: Mapping[str, str]) -> bool:
    """Return whether the service manager handed `path` over.

    systemd grants access to credentials by an access control list, which shows as the rights of the group.
    """
    folder = environ.get(VARIABLE)
    return bool(folder) and Path(path).absolute().parent == Path(str(folder)).absolute()
