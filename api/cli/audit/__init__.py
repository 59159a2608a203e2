"""Parts of `retain audit`: the columns of the log, proofs and receipts, the retention report.

The answers come from `engine.audit`; here they are printed.
"""
