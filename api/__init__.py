"""The outer edge of Retain: HTTP, identities, the three interfaces, the pages, the command line.

Imports the engine; the command line also imports the journal's tools. The interfaces (`areas`, `settings`,
`blobs`) never import one another; `docs/architecture.md` draws the rooms and their directions.
"""
