"""Proofs about records: signed notes, inclusion and consistency proofs, the opened part in a receipt.

The tree itself is part of the format (`journal.format.merkle`).
"""
