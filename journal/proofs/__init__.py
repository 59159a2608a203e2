"""Proofs about records: signed notes, inclusion proofs, the opened part in a receipt.

The tree itself is part of the format (`journal.format.merkle`).
"""
