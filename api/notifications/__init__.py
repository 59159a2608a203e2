"""Notify other programs of changes: selection, form, signature, delivery at least once and in order.

Progress is a record number of the journal: nothing is queued in memory, and the delivery state contains no
names. This package has no pages and no commands; `api.admin` has the actions.
"""
