"""The console: what operators do in a browser, and the core of it that the command line shares."""
