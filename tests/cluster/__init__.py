"""The campaign over several nodes, `make cluster`; tests/test_nodes.py is its small form."""
