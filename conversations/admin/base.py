"""What the pages of the admin have in common: they are read-only, bounded, and masked until a reason was given."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar, cast

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.views.main import ERROR_FLAG
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.paginator import Page, Paginator
from django.db.models import Exists, Field, ManyToManyField, Model, OuterRef, QuerySet
from django.forms import CheckboxSelectMultiple
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.functional import cached_property
from django.utils.text import capfirst
from django.utils.translation import gettext

from chatapp.accounts.models import User
from conversations.admin.forms import ReasonForm
from conversations.review import openings

PER_PAGE = 50
PAGES_AHEAD = 5
# What may follow the name of a field in an address: any other comparison would tell what is masked, letter by letter.
COMPARISONS = ("", "__exact", "__id__exact", "__isnull", "__gte", "__lt")

# Groups and models are few: boxes to tick work on a phone, and without a script.
BOXES: dict[type[Field[Any, Any]], dict[str, Any]] = {ManyToManyField: {"widget": CheckboxSelectMultiple}}


class NearPaginator(Paginator):  # type: ignore[type-arg] # generic for the type checker alone
    """Counts no further than a few pages beyond the one that is shown, and so reads no table to its end."""

    def __init__(self, rows: QuerySet[Any], per_page: int, *, page_number: int) -> None:
        super().__init__(rows, per_page)
        self.most = (page_number + PAGES_AHEAD) * per_page

    @cached_property
    def count(self) -> int:
        """How many rows there are, as far as they were counted."""
        rows = cast(QuerySet[Any], self.object_list)
        return rows.values("pk")[: self.most].count()

    def page(self, number: Any) -> Page[Any]:
        """Return a page; of a later one the keys come first: else sums would be made for all rows before it, too."""
        page = super().page(number)
        if page.number > 1:
            rows = cast(QuerySet[Any], self.object_list)
            keys = cast(QuerySet[Any], page.object_list).values_list("pk", flat=True)
            page.object_list = rows.filter(pk__in=list(keys))
        return page

    @property
    def goes_on(self) -> bool:
        """Whether there may be more rows than were counted."""
        return self.count == self.most


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg] # generic for the type checker alone
    """Staff read; nobody adds, changes or deletes here. Lists stay quick however long they are."""

    list_per_page = PER_PAGE
    list_max_show_all = 0
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # each would count a whole table
    sortable_by: ClassVar[tuple[str, ...]] = ()  # an order that has an index is the only one

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002 - Django's interface
        """Never."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002 - as above
        """Never."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002 - as above
        """Never."""
        return False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Call the list by what is in it; one that is asked for what cannot be, is shown from its beginning.

        Django does so for most of what it cannot look up. The rest it tells only as it asks the database.
        """
        title = capfirst(self.opts.verbose_name_plural)
        try:
            return super().changelist_view(request, {"title": title, **(extra_context or {})})
        except (ValidationError, OverflowError):  # a selection of what is no id; a time or number beyond all bounds
            if request.method == "GET" and set(request.GET) <= {ERROR_FLAG}:
                raise  # nothing was asked for: the mistake is ours
            messages.error(request, gettext("This could not be looked up, and nothing was changed. Here is the list."))
            return redirect(f"{request.path}?{ERROR_FLAG}=1")

    def history_view(
        self,
        request: HttpRequest,  # noqa: ARG002 - Django's interface
        object_id: str,  # noqa: ARG002 - as above
        extra_context: dict[str, Any] | None = None,  # noqa: ARG002 - as above
    ) -> HttpResponse:
        """Refuse: what happened is in the audit trail, and this page would show a title that is masked."""
        raise PermissionDenied

    def get_paginator(
        self,
        request: HttpRequest,
        queryset: QuerySet[Any],
        per_page: int,
        orphans: int = 0,  # noqa: ARG002 - Django's interface
        allow_empty_first_page: bool = True,  # noqa: ARG002 - as above
    ) -> Paginator[Any]:
        """Count near the page that is asked for."""
        asked = request.GET.get("p", "1")
        number = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 7 else 1  # noqa: PLR2004 - pages
        return NearPaginator(queryset, per_page, page_number=number)

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:  # noqa: ARG002 - as above
        """Take nothing but what the filters of this page ask: everything else would be a way to guess at texts."""
        allowed: set[str] = set()
        for entry in self.list_filter:
            if isinstance(entry, tuple):  # of which there is one kind: whether there is anything at all
                allowed.add(f"{entry[0]}__isempty")
            elif isinstance(entry, type) and issubclass(entry, admin.SimpleListFilter):
                allowed.add(str(entry.parameter_name))
            else:
                allowed |= {f"{entry}{comparison}" for comparison in COMPARISONS}
        return lookup in allowed


def user_of(request: HttpRequest) -> User:
    """Return who asks: the admin lets nobody in who is not signed in."""
    return cast(User, request.user)


def with_opened(rows: QuerySet[Any], user: User, conversation: str) -> QuerySet[Any]:
    """Annotate `opened`: whether this user may read the conversation, named by the field `conversation`, of a row."""
    opened = Exists(openings.opened_by(user).filter(conversation=OuterRef(conversation)))
    return cast(QuerySet[Any], rows.annotate(opened=opened))


def reading_context(user: User, conversation_id: uuid.UUID, form: ReasonForm) -> dict[str, Any]:
    """Return what `_reason.html` needs, and the `opening` by which it is not needed."""
    return {
        "opening": openings.opening_of(user, conversation_id),
        "may_open": openings.may_open(user),
        "form": form,
        "access_minutes": settings.REVIEW_ACCESS_MINUTES,
        "shown_to_user": settings.REVIEW_SHOWN_TO_USER,
    }


def masked(conversation_id: uuid.UUID) -> str:
    """Return what stands for a conversation as long as nobody has given a reason to read it."""
    return gettext("Conversation …%(end)s") % {"end": conversation_id.hex[-8:]}


def title_of(row: Model, conversation: Any) -> str:
    """Return how a row, which comes `with_opened`, calls its conversation."""
    return str(conversation) if getattr(row, "opened", False) else masked(conversation.pk)
