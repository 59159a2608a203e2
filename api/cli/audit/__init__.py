"""Parts of `retain audit`: the columns of the log, proofs and receipts, the retention report.

`engine.audit` computes the results; this package prints them.
"""
