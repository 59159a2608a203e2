"""Changes to the journal's history from outside: a restore from a backup, or a repair that lost records.

Also operators' actions about the journal as a whole: an erasure ordered, a clock accepted.

A name made from a counter (an ETag, a revision) must never refer to something else afterwards. So each such
change advances the counters to values that were never used. Nothing here changes the data of another domain.
"""
