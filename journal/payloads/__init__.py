"""Bodies too large for a record, each in an encrypted file of its own: staged, stored, read, removed.

Knows the disk and no record.
"""
