"""How many tokens a text costs, estimated: no tokenizer is at hand for every model, and none is fetched at run time.

The estimate is the length in UTF-8, divided by 3.5 bytes a token. For English prose that is a little more than what
today's tokenizers count (4.2 to 4.6 bytes), for code about right (3 to 3.7), for Chinese and Japanese (3 bytes a
character) 0.86 tokens a character, where tokenizers count 0.6 to 1, and for Cyrillic 0.57, where they count 0.3 to 0.5.
It errs towards too many, because too few end in a refusal by the provider. Plain values in and out.
"""

from __future__ import annotations

import math

BYTES_A_TOKEN = 3.5  # the page's script has the same number, by the page
MESSAGE_TOKENS = 4  # what each message costs besides its words: its role and its ends
IMAGE_TOKENS = 85  # a small picture, and the beginning of a large one
TILE_TOKENS = 170
TILE_PIXELS = 512


def estimate(text: str) -> int:
    """Return about how many tokens a text has; 0 for none."""
    return math.ceil(len(text.encode("utf-8", "replace")) / BYTES_A_TOKEN)


def estimate_image(width: int, height: int) -> int:
    """Return about how many tokens a picture costs, by OpenAI's rule for high detail; other services ask for less.

    It is fitted into 2,048 pixels, its shorter side into 768; then each begun tile of 512 x 512 counts.
    """
    scale = min(1.0, 2048 / max(width, height, 1))
    scale *= min(1.0, 768 / max(1.0, min(width, height) * scale))
    tiles = math.ceil(width * scale / TILE_PIXELS) * math.ceil(height * scale / TILE_PIXELS)
    return IMAGE_TOKENS + TILE_TOKENS * max(1, tiles)
