"""One feature a file; each has `register(server, session)`."""
