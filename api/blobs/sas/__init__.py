"""Authorization: Shared Key, SAS tokens, permissions by operation. A new SAS version is a row in `fields`.

Pure functions over requests and keys: no engine, no clock, no I/O.
"""
