"""The rights of persons: find everything stored about a person (`find`), and end it (`end`).

Imports every domain; none imports it.
"""
