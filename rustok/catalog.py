"""Every module of the platform. Taking one out of this tuple takes it out of the build."""

from rustok.events.module import OUTBOX
from rustok.index.module import INDEX
from rustok.jobs.module import JOBS
from rustok.modules.access.module import ACCESS
from rustok.modules.alloy.module import ALLOY
from rustok.modules.blog.module import BLOG
from rustok.modules.commerce.module import COMMERCE
from rustok.modules.content.module import CONTENT
from rustok.modules.tenants.module import TENANTS

MODULES = (OUTBOX, JOBS, INDEX, TENANTS, ACCESS, CONTENT, BLOG, COMMERCE, ALLOY)
