"""The configuration: fields and their checks, one module a part, the loader, and the generated page."""
