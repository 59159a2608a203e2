"""Who may do what: shared keys, SAS tokens and permissions. Pure functions over requests and keys."""
