"""Erasing content: finding and zeroing it, the ledger of what was erased, the list that backups obey."""
