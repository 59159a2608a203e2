"""Results as a table for people and as JSON for machines."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results"


@dataclass(slots=True)
class Report:
    """One scenario's result.

    Attributes:
        scenario: Its name.
        command: What repeats it.
        rows: One mapping a line; all have the same keys, which are the table's columns.
        ratios: What counts: each name says what is divided by what.
        notes: Circumstances a reader must know.
    """

    scenario: str
    command: str
    rows: list[Mapping[str, Any]] = field(default_factory=list)
    ratios: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, **row: Any) -> None:
        """Add a row."""
        self.rows.append(row)

    def show(self, console: Console) -> None:
        """Print the ratios, then the table."""
        console.print(f"[bold]{self.scenario}[/]  {self.command}")
        for name, ratio in self.ratios.items():
            console.print(f"  {name}: [bold]{ratio:.2f}[/]")
        if self.rows:
            table = Table()
            for column in self.rows[0]:
                table.add_column(column, justify="left" if column == "case" else "right")
            for row in self.rows:
                table.add_row(*(_text(value) for value in row.values()))
            console.print(table)
        for note in self.notes:
            console.print(f"  {note}")

    def save(self, folder: Path = RESULTS) -> Path:
        """Write the JSON beside earlier results, and return its path."""
        folder.mkdir(parents=True, exist_ok=True)
        moment = datetime.now(UTC)
        path = folder / f"{self.scenario}-{moment:%Y%m%dT%H%M%S}.json"
        path.write_text(json.dumps(self._document(moment), indent=2) + "\n")
        return path

    def _document(self, moment: datetime) -> dict[str, Any]:
        return {
            "scenario": self.scenario,
            "command": self.command,
            "time": moment.isoformat(timespec="seconds"),
            "machine": machine(),
            "ratios": self.ratios,
            "rows": [dict(row) for row in self.rows],
            "notes": self.notes,
        }


def machine() -> dict[str, Any]:
    """Describe the machine on which the figures were measured."""
    return {
        "python": platform.python_version(),
        "kernel": platform.release(),
        "processors": os.cpu_count(),
        "architecture": platform.machine(),
    }


def per_second(rates: Sequence[float]) -> str:
    """Format a rate for the table."""
    return f"{sorted(rates)[len(rates) // 2]:,.0f}"


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.2f}" if value < 100 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
