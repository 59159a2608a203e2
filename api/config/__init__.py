"""The configuration: a module for each group of sections, the fields' checks, the loader, the generated page.

A new key is a field in the module of its section; `make fix` then writes docs/configuration.md.
Nothing is imported from the other rooms of `api`.
"""
