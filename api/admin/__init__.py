"""Actions of operators, each written once, for the control socket, the pages and the command line."""
