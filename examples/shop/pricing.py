"""Prices of a small shop."""

TAX_RATES = {"us": 0.07, "de": 0.19}


def total(items: list[tuple[int, float]], country: str) -> float:
    """Sum of quantity times price of all items, plus tax at the country's rate (0 if unknown)."""
    
