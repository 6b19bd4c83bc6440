"""What an answer has cost, by the prices of its model. Plain values in and out."""

from __future__ import annotations

from decimal import Decimal

MILLION = 1_000_000
MOST = Decimal("99999999")  # what the database holds; prices and counts above it are mistakes
SMALLEST = Decimal("0.00000001")


def cost_of(
    input_tokens: int, output_tokens: int, input_price: Decimal | None, output_price: Decimal | None
) -> Decimal | None:
    """Return the cost in the currency of the prices, which are per million tokens; None when neither is known."""
    if input_price is None and output_price is None:
        return None
    cost = (input_tokens * (input_price or Decimal(0)) + output_tokens * (output_price or Decimal(0))) / MILLION
    return min(MOST, max(Decimal(0), cost)).quantize(SMALLEST)
