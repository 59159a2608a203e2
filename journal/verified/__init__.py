"""Sealed segments that child processes read and verify, ahead of the process that opens the journal.

`pool` gives segments to children and takes their verdicts; `child` is such a process.
"""
