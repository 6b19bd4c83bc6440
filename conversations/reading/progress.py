"""What a page lacks of an answer in progress, as one answer to one request: for networks that let no stream through.

It is the stream's next message, made from the database alone, and says how to go on. It needs neither a live document
nor the bus.
"""

from __future__ import annotations

from django.conf import settings
from django.template.loader import render_to_string

from conversations.live import sse
from conversations.live.message import healing, lacking
from conversations.live.sse import Position
from conversations.live.state import RenderedState, read_state
from conversations.models import Generation
from conversations.reading.transcript import MessageView, add_stream, footer_html
from conversations.rendering.markdown import render


def catch_up(generation: Generation, start: Position | None, *, nonce: str, language: str, polled: bool) -> str | None:
    """Return the HTML that brings a page at `start` up to date; None when it is, and the answer is not complete.

    With `polled` the page is to go on asking here, else by a stream. Blocks on the database and renders the answer.
    """
    state = read_state(generation.pk)
    if state is None:
        return None
    known = start.operations if start is not None else None
    if not state.ended and known == state.position.operations:
        return None
    changes = lacking(state.renderer, known, shows_tail=start is not None and start.tail > 0)
    prefix = state.renderer.prefix
    if not state.ended:
        return sse.update(prefix, changes) + sse.partial(
            f"#{prefix}stream", _stream(generation, state, nonce, polled=polled), "outerHTML"
        )
    footer = footer_html(generation.message_id, nonce, language)
    return sse.update(prefix, changes) + _healing(state) + sse.partial(f"#{prefix}footer", footer, "outerHTML")


def _stream(generation: Generation, state: RenderedState, nonce: str, *, polled: bool) -> str:
    message = generation.message
    view = MessageView(message.pk, state.renderer.prefix.removesuffix("-"), message.role, message.created_at)
    add_stream(view, generation, state.position)
    context = {"message": view, "csp_nonce": nonce, "polled": polled}
    return render_to_string("conversations/_stream.html", context)


def _healing(state: RenderedState) -> str:
    renderer = state.renderer
    canonical = render("".join(renderer.text), id_prefix=renderer.prefix, image_hosts=settings.IMAGE_HOSTS)
    return sse.update(renderer.prefix, healing(renderer.body_html(), canonical))
