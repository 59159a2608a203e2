"""Report failures of standard output in one line, with the exit code for output.

Without this, a full disk behind a redirection looks like an error of the data that the command reads, and
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
    """A descriptor that raises `Stopped` when a write fails, and discards everything after that."""

    _failed = False

    def write(self, data: ReadableBuffer, /) -> int:
        """Write to the descriptor. Raises `BrokenPipeError` if the reader has closed it, else `Stopped`."""
        if self._failed:
            return memoryview(data).nbytes  # reported already; discard what is still buffered
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
    """Check the output of the block, which is a command that click ends with `SystemExit`."""
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
