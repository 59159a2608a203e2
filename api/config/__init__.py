"""The configuration: its sections, the fields' checks, the loader, the generated page.

A new key is a field in the module of its section: `server` ([server], [log], [operations]), `storage`
([storage], [retention], [audit]), `interfaces` ([areas], [settings], [blobs]), `identity` (also users and
tenants), `console`, `notifications`. `make fix` then writes docs/configuration.md. `engine` makes the
engine's options of them. `toml` explains what TOML refuses. Nothing is
imported from the other rooms of `api`.
"""
