"""What the user's interpreter executes inside the sandbox: standard library and their pytest only.

Python 3.9 and later. Imports nothing of egcfg-lsp; the folder is mounted into the sandbox by itself.
"""
