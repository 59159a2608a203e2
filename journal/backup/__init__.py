"""Backing up a journal beside its running server, and restoring one without what was erased since."""
