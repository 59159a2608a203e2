"""Questions to a data folder, answered from the journal: log, states, proofs, receipts, retention.

Used beside a running server or without one; nothing here changes the journal.
"""
