"""Bodies too large for a record, each in a sealed file of its own: staged, stored, read and removed."""
