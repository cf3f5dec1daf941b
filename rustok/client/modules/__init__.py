# Made from the OpenAPI document. Do not edit: `python -m tests.client_code` writes this file.
"""Every module of the platform that has operations."""

from rustok.client.consistency import Conversation
from rustok.client.modules.access import Access
from rustok.client.modules.alloy import Alloy
from rustok.client.modules.blog import Blog
from rustok.client.modules.commerce import Commerce
from rustok.client.modules.content import Content
from rustok.client.modules.index import Index
from rustok.client.modules.jobs import Jobs
from rustok.client.modules.outbox import Outbox
from rustok.client.modules.tenants import Tenants


class Modules:
    """The modules, by name."""

    def __init__(self, conversation: Conversation) -> None:
        self.access = Access(conversation)
        self.alloy = Alloy(conversation)
        self.blog = Blog(conversation)
        self.commerce = Commerce(conversation)
        self.content = Content(conversation)
        self.index = Index(conversation)
        self.jobs = Jobs(conversation)
        self.outbox = Outbox(conversation)
        self.tenants = Tenants(conversation)
