"""What the settings page makes of documents: levels, the merged view with its origins, and diffs.

It changes nothing and judges nothing: rights, merging and validation are the engine's and the interface's.
"""
