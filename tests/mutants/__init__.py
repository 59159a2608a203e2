"""Mutation testing (`make mutants`): change the product a little at random, in a copy; see if a test notices.

`points` finds the places, `selection` measures which tests run them, `run` judges them, `judged.toml` lists
the changes that were examined and found to change nothing that anyone could see.
"""
