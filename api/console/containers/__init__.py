"""Shared by the pages about containers and blobs: addresses, holds, searches and previews.

It does not answer requests: the views are in `api/console/pages`, and every rule is the engine's or the blob
interface's.
"""
