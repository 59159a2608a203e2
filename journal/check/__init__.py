"""Verify a journal, and repair a damaged one on an operator's order.

Nothing here runs automatically, and opening a journal does not import it.
"""
