"""The growing end of the journal: the live segment, the appender, and the ballast kept for a full disk.

What the bytes mean is `journal.format`; when they are durable is said here.
"""
