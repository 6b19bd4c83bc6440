from markdown_it import MarkdownIt

RENDERER_VERSION = "t0"
_md = MarkdownIt("commonmark", {"html": False})


def render(text, *, id_prefix=""):
    return _md.render(text)
