"""The console's pages, one module each. A module's `ROUTES` lists its paths and their roles."""
