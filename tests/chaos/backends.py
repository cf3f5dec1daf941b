"""PostgreSQL ends sessions of the platform at random, many of them in the middle of a transaction, under load."""

from collections import Counter

from tests.chaos.evidence import Hits
from tests.chaos.opening import Plan, Servers, open_stage
from tests.chaos.report import Result
from tests.chaos.verdict import conclude
from tests.integration.events.log import connected

# Sessions of the stage are called rustok; those that tell others of events, or listen, have no name.
_TERMINATE = """
    SELECT name, is_busy, pg_terminate_backend(pid)
      FROM (SELECT pid, coalesce(nullif(application_name, ''), 'wake-up') AS name,
                   coalesce(state <> 'idle', false) AS is_busy
              FROM pg_stat_activity
             WHERE datname = current_database() AND usename IN ('rustok_app', 'rustok_system')
               AND application_name <> 'rustok'
             ORDER BY $1 AND state = 'idle', random() LIMIT 1) AS session
"""


def terminate_backends(servers: Servers, *, terminations: int) -> Result:
    """`pg_terminate_backend` of any session, and every other time of one in a transaction, while there is one."""
    victims, while_busy = Counter[str](), 0
    with open_stage(servers, Plan()) as stage:
        with stage.load():
            for number in range(terminations):
                name, is_busy = stage.loop.run(_terminate(stage.platform.database.admin_url, bool(number % 2)))
                victims[name] += 1
                while_busy += is_busy
                stage.until_answered(1)
        return conclude(
            stage,
            {"terminations": terminations, "in_a_transaction": while_busy, "victims": victims},
            controls={"sessions that were ended in a transaction": Hits(while_busy, terminations / 4)},
        )


async def _terminate(admin_url: str, prefers_busy: bool) -> tuple[str, bool]:
    """End a session; return its name, and whether it was in a transaction."""
    async with connected(admin_url) as admin:
        row = await admin.fetchrow(_TERMINATE, prefers_busy)
    return row["name"], row["is_busy"]
