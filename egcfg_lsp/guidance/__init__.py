"""Guidance by execution, pure: the arithmetic, the names of configurations, executable candidates,
and what is told of their runs. Knows no model and no sandbox, and executes nothing."""
