"""Parts of `retain audit`: the log as lines (`format`), proofs and receipts, the retention report.

`engine.audit` computes the results; this package prints them. A new column of the audit log is in
`api.admin.log_rows`, too, for JSON and CSV.
"""
