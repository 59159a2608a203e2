"""Verifying a journal, and repairing a damaged one at an explicit order. Nothing here runs by itself."""
