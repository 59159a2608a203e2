"""Keep customer data exactly as long as allowed, show who did what to it, and provably forget it.

The public face of an embedded engine; `retain serve` starts the server. The other names are
`retain.engine` (state, commands, deadlines), `retain.journal` (the bytes on disk) and `retain.api`
(the interfaces). In a checkout these three and `retain.bench` are links to the folders beside this one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from retain.engine import Clock, Engine, EngineError, Options, SystemClock, open_engine

__all__ = ["Clock", "Engine", "EngineError", "Options", "SystemClock", "open_engine"]


def __getattr__(name: str) -> object:
    """Import the engine when one of its names is first used: the command line often needs none of it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from retain import engine

    return getattr(engine, name)
