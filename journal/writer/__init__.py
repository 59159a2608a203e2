"""The growing end of the journal: the live segment, the appender, and the ballast kept for a full disk.

`journal.format` interprets the bytes; this package makes them durable.
"""
