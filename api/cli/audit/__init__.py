"""Parts of `retain audit`: how the log is shown, proofs and receipts, the retention report."""
