"""Search over titles and messages, within the database that is there anyway.

`words` says what a word is, `index` keeps which entry has which words (in `sqlite` or `postgresql`, by the database in
use), `find` answers queries, `snippets` shows where. `docs/search.md` has the decisions.
"""

from conversations.search.find import Found, Hit, Results, found_anywhere, search
from conversations.search.index import index_conversation, index_messages, index_missed, index_titles

__all__ = [
    "Found",
    "Hit",
    "Results",
    "found_anywhere",
    "index_conversation",
    "index_messages",
    "index_missed",
    "index_titles",
    "search",
]
