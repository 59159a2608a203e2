"""The bytes on disk, as FORMAT.md describes them: frames, records, whitening, the Merkle tree.

The checksums of a frame are in `frame`, that of a part in `parts`. Sans-IO: no file is opened here, and
nothing outside this folder is imported but `journal.errors`.
"""
