"""What the hot paths cost, as figures with an aim: `python -m benchmarks`, explained in `README.md`.

A ratio is taken from rounds of both sides in turn, in one process, so that a busy machine slows
both; times in milliseconds are for information. Does not say whether suggestions are good.
"""
