"""Find records without a replay: indexes of sealed segments, the history of a resource, scans.

Read-only: nothing here changes the journal.
"""
