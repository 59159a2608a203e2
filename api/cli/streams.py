"""Standard output that fails in one way: in one line, with the exit code for output.

Without this, a full disk behind a redirection looks like a fault of whatever the command was reading, and
characters that the terminal's encoding lacks end in a traceback.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from retain.api.cli.exits import FAILED, OUTPUT, Stopped

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class _Checked(io.FileIO):
    """A descriptor that raises `Stopped` when it cannot be written to, and takes nothing from then on."""

    _failed = False

    def write(self, data: ReadableBuffer, /) -> int:
        """Write to the descriptor. Raises `BrokenPipeError` where the reader went away; `Stopped`."""
        if self._failed:
            return memoryview(data).nbytes  # told already; what is still buffered goes nowhere
        try:
            return super().write(data)
        except OSError as error:
            self._failed = True
            if isinstance(error, BrokenPipeError):
                raise  # click ends quietly
            reason = error.strerror or str(error)
            raise Stopped(f"the output cannot be written: {reason}", OUTPUT) from None


@contextmanager
def checked_output() -> Iterator[None]:
    """For the block that is the command, and that click ends by `SystemExit`: check what it prints."""
    before = sys.stdout
    sys.stdout = _checked(before)
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except Stopped as stopped:
        stopped.show()
        sys.exit(stopped.exit_code)
    except BrokenPipeError:
        sys.exit(FAILED)
    finally:
        sys.stdout = before


def _checked(stream: TextIO) -> TextIO:
    try:
        descriptor = stream.fileno()
    except (OSError, AttributeError):  # none, as under a test runner
        return stream
    return io.TextIOWrapper(
        io.BufferedWriter(_Checked(descriptor, "wb", closefd=False)),
        stream.encoding,
        errors=stream.errors if stream.encoding.lower().startswith("utf") else "backslashreplace",
        line_buffering=stream.isatty(),
    )
