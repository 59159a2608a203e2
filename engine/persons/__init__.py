"""The rights of persons: finding everything that is stored about one (`find`), and ending it (`end`).

Knows every domain, and is imported by none of them.
"""
