"""The disk: the protocol that the journal needs (`interface`), and the operating system behind it (`real`).

The only place that calls file functions. It does not interpret the bytes.
"""
