"""Administrative actions on settings, written once, for a running server and for the command line alone.

Every action takes and returns plain JSON values, as in `api.admin.actions`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from retain.api.config.load import Config
from retain.api.settings.interface import policy_of
from retain.api.settings.transfer import pack, unpack
from retain.engine import Engine
from retain.engine.settings import ImportDocument
from retain.engine.settings.queries import places_of_application


class SettingsActions:
    """The actions on settings.

    Args:
        engine: The engine that stores the settings.
        config: The whole configuration.
    """

    def __init__(self, engine: Engine, config: Config) -> None:
        self._engine = engine
        self._policy = policy_of(config.settings)

    def actions(self) -> dict[str, Callable[..., Awaitable[Any]]]:
        """Return the actions by name."""
        return {
            "settings list": self.list_applications,
            "settings export": self.export_application,
            "settings import": self.import_documents,
        }

    async def list_applications(self, *, actor: str) -> list[dict[str, Any]]:
        """Return every application: its documents by level, and their bytes."""

        def count(state: Any) -> list[dict[str, Any]]:
            rows: dict[str, dict[str, Any]] = {}
            for place, document in sorted(state.settings.documents.items()):
                row = rows.setdefault(
                    place.application,
                    {"application": place.application, "global": 0, "users": 0, "devices": 0, "bytes": 0},
                )
                row[("global", "users", "devices")[place.level]] += 1
                row["bytes"] += document.size
            return list(rows.values())

        return await self._engine.read(lambda state, _: count(state))

    async def export_application(self, *, actor: str, application: str) -> dict[str, Any]:
        """Return all documents of an application; none, if there is no such application."""

        def collect(state: Any) -> dict[str, Any]:
            places = places_of_application(state.settings, application)
            return pack(application, {place: state.settings.documents[place].value for place in places})

        return await self._engine.read(lambda state, _: collect(state))

    async def import_documents(
        self, *, actor: str, application: str, documents: list[Any], ended: list[Any]
    ) -> int:
        """Store `documents` and end the documents of `ended` (entries whose values are ignored).

        Returns how many documents that changed. Each document changes as a whole, one after another.

        Raises:
            Invalid: An entry is malformed; nothing was changed.
            QuotaExceeded: A document is larger than a level may be; those before it were imported.
        """
        stated = unpack(application, documents)
        removed = unpack(application, ended)
        changed = 0
        for place, value in [*stated.items(), *((place, None) for place in removed)]:
            changed += await self._engine.submit(
                ImportDocument(
                    actor=actor,
                    place=place,
                    value=value,
                    policy=self._policy,
                    resource=self._engine.entropy(16),
                )
            )
        return changed
