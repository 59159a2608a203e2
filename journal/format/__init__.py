"""The bytes on disk, as FORMAT.md describes them: frames, records, whitening, the Merkle tree.

Sans-IO: no file is opened here, and nothing outside this folder is imported but `journal.errors`.
"""
