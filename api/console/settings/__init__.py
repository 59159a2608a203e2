"""Views of documents for the settings page: levels, the merged view with origins, and diffs.

It changes nothing: rights, merging and validation are the engine's and the interface's.
"""
