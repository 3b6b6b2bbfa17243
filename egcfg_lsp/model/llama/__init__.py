"""llama.cpp in a child process: `client` talks to `worker`, which owns the `engine`."""
