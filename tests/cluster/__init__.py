"""The campaign over several nodes, `make faults`; tests/test_nodes.py is its small form."""
