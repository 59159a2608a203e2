"""One scenario a file; each has a `main` command."""
