"""Verifying a journal, and repairing a damaged one when an operator orders it.

Nothing here runs by itself, and opening a journal does not import it.
"""
