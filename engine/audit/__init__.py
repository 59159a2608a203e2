"""Questions to a data folder, answered from the journal: log, states, proofs, receipts, retention, exports.

Used beside a running server or without one; nothing here changes the journal. The write path and the domains
do not import it.
"""
