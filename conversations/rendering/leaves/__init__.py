"""The blocks that hold text: what each shows of the lines it gets, and when."""

from conversations.rendering.leaves.base import Leaf
from conversations.rendering.leaves.table import Table, aligns_of
from conversations.rendering.leaves.text import Heading, Paragraph
from conversations.rendering.leaves.verbatim import Code, Fence, IndentedCode, MathBlock

__all__ = ["Code", "Fence", "Heading", "IndentedCode", "Leaf", "MathBlock", "Paragraph", "Table", "aligns_of"]
