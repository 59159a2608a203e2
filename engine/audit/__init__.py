"""Queries of a data folder, answered from the journal: log, states, proofs, receipts, retention, exports.

They run beside a running server or without one, and do not change the journal. The write path and the domains
do not import it.
"""
