"""Signed notes, inclusion and consistency proofs, and the opened part of a record that a receipt carries."""
