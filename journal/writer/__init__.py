"""The end of the journal that grows: the live segment, the appender, and the ballast kept for a full disk."""
