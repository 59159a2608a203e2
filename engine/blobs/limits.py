"""Limits of Azure Blob Storage that both a request and a decision are held against (docs/wire/blobs.md)."""

from __future__ import annotations

MAX_POLICIES = 5
"""Stored access policies of one container (docs/wire/blobs.md, section 2.3)."""
MAX_BLOCKS = 50_000
"""Blocks of one list (docs/wire/blobs.md, section 5.1)."""
MAX_UNCOMMITTED = 100_000
"""Uncommitted blocks of one blob (docs/wire/blobs.md, section 5.1)."""
