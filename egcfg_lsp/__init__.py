"""Execution-guided inline completion of Python code."""

from importlib.metadata import version

__version__ = version("egcfg-lsp")
