"""The rights of persons: finding everything that is stored about one, and ending it."""
