"""Telling others of changes: which, in what form, signed, delivered at least once and in order.

Driven by the journal's numbers: nothing is queued in memory, and nothing that is kept here names data.
No page and no command is here; `api.admin` has the actions.
"""
