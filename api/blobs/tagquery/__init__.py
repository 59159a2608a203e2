"""The language of tags: `where` of Find Blobs by Tags, and the conditions `x-ms-if-tags`.

Words, grammar and evaluation, as pure functions. The index that answers a query is in the engine.
"""
