"""What changed the journal's history from outside: that it was restored from a backup, or repaired at the
price of records.

Whoever holds a name made from a counter (an ETag, a revision) must not find something else under it
afterwards. So each such change takes the counters to where they never were.
"""
