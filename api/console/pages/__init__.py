"""The console's pages, one module each. A module's `ROUTES` says which paths it answers, and for whom."""
