"""Redis and PostgreSQL are wiped, hang, stop as in a crash, or are reached over a bad network, under load."""

import os
import random
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager

import psutil
import redis
from sqlalchemy import text

from tests.bench.figures import percentile
from tests.chaos.evidence import COME_AGAIN, Bound, Hits
from tests.chaos.opening import SEED, Plan, Servers, open_stage
from tests.chaos.proxy import Chunk, Fate, always_pass, every
from tests.chaos.report import Result
from tests.chaos.root import DOUBLE_MESSAGES, Handled
from tests.chaos.stage import Stage, look_for
from tests.chaos.verdict import conclude

FIRST_WRITE_S = 2.0

_SLOW_S = 0.001
_WAIT_FOR_JOBS_S = 5.0

_OUTSTANDING = text(
    """
    SELECT (SELECT count(*) FROM outbox) AS staged,
           (SELECT count(*) FROM event_log AS e JOIN checkpoints AS c USING (shard)
             WHERE c.consumer = 'witness.effects' AND e.position > c.position) AS unread
    """
)
_WAITING = text("SELECT count(*) AS jobs FROM jobs WHERE state IN ('ready', 'leased')")
_ENDED = text(
    """
    SELECT (SELECT count(*) FROM finished_jobs WHERE kind = 'alloy.run' AND outcome = 'done') AS runs,
           (SELECT count(*) FROM jobs WHERE state = 'dead') AS dead
    """
)
_LEASES = text(
    """
    SELECT (SELECT coalesce(sum(attempts), 0) FROM jobs) + (SELECT coalesce(sum(attempts), 0) FROM finished_jobs)
           AS granted
    """
)


def wipe_redis(servers: Servers, *, wipes: int, products: int, runs: int) -> Result:
    """FLUSHALL again and again, with all that was written before still outstanding, and *runs* of scripts beside it.

    One tenant has a hook: a run for each product would take longer to settle than all events do.
    """
    with open_stage(servers, Plan(hooked=1, admits_all=True)) as stage:
        hooked = [*stage.hooks]
        others = [tenant for tenant in stage.clients.tenants if tenant not in hooked]
        workers = [psutil.Process(pid) for name, pid in stage.processes.pids.items() if name.startswith("worker")]
        for worker in workers:
            worker.suspend()
        stage.finish(stage.write(runs, tenants=hooked))
        stage.finish(stage.write(products, tenants=others))
        stage.until(lambda: not stage.ask(_OUTSTANDING).staged)
        outstanding = stage.ask(_OUTSTANDING).unread
        for worker in workers:
            worker.resume()
        with stage.load(), redis.Redis.from_url(stage.redis.url) as client:
            wiped, waiting = [], []
            for _ in range(wipes):
                waiting.append(look_for(lambda: stage.ask(_WAITING).jobs, stage.until, within_s=_WAIT_FOR_JOBS_S))
                wiped.append(_wipe(client))
                stage.until_answered(5)
        stage.settle()
        ended = stage.ask(_ENDED)
        return conclude(
            stage,
            {"wipes": wipes, "outstanding": outstanding, "messages_wiped": sum(wiped), "jobs_waiting": max(waiting)},
            {**_no_write_errors(stage), "jobs that were given up": Bound(ended.dead, 0)},
            controls={
                "wipes of messages": Hits(sum(map(bool, wiped)), wipes / 3),
                "wipes while jobs waited": Hits(sum(map(bool, waiting)), wipes / 3),
                "runs that were done": Hits(ended.runs, runs),
            },
        )


@contextmanager
def redis_down(stage: Stage) -> Iterator[None]:
    """Connections are refused."""
    stage.redis.stop_immediately()
    try:
        yield
    finally:
        stage.redis.start()


@contextmanager
def redis_hung(stage: Stage) -> Iterator[None]:
    """Connections stay open, and nobody answers."""
    os.kill(stage.redis.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(stage.redis.pid, signal.SIGCONT)


def lose_redis(servers: Servers, *, away_s: float) -> Result:
    """Redis is stopped for a while, then it hangs for a while: connections are refused, then nobody answers."""
    ways: Mapping[str, Callable[[Stage], AbstractContextManager[None]]] = {"down": redis_down, "hung": redis_hung}
    settled_s, written = {}, {}
    with open_stage(servers, Plan()) as stage:
        for name, away in ways.items():
            with stage.load():
                before = len(stage.clients.answered_s)
                with away(stage):
                    stage.pass_time(away_s)
                    written[name] = len(stage.clients.answered_s) - before
                stage.until_answered(5)
            settled_s[name] = round(stage.settle(), 2)
        return conclude(
            stage,
            {"away_s": away_s, "settled_s": settled_s, "written_meanwhile": written},
            _no_write_errors(stage),
            controls={f"writes while Redis was {name}": Hits(count, away_s) for name, count in written.items()},
        )


def cut_redis_replies(servers: Servers, *, nth: int, cuts: int) -> Result:
    """Replies of Redis are late, and every *nth* is lost: its connection ends, is reset, or stays silent.

    What was asked was done all the same.
    """
    spoil = every(nth, Fate.CUT, Fate.RESET, Fate.EAT)
    deliveries = 0

    def lose(chunk: Chunk) -> Fate:
        nonlocal deliveries
        fate = spoil(chunk)
        deliveries += fate is not Fate.PASS and delivers(chunk)
        return fate

    with open_stage(servers, Plan(proxied=frozenset({"redis"}))) as stage:
        proxy = stage.proxies["redis"]
        proxy.replies, proxy.delay_s = lose, _SLOW_S
        with stage.load():
            stage.until(lambda: proxy.faults >= cuts)
        proxy.replies = always_pass
        return conclude(
            stage,
            {"lost_replies": proxy.faults, "lost_deliveries": deliveries},
            _no_write_errors(stage),
            controls={"lost replies with messages": Hits(deliveries, cuts / 20)},
        )


def double_messages(servers: Servers, *, products: int) -> Result:
    """Every message of relay and workers is sent, delivered and handled twice."""
    with open_stage(servers, Plan(environment={DOUBLE_MESSAGES: "1"})) as stage:
        stage.finish(stage.write(products))
        stage.settle()
        handled = Handled.read(stage.redis.url)
        refused = handled.hints - stage.ask(_LEASES).granted
        return conclude(
            stage,
            {"products": products, "handled_twice": handled.messages_twice, "leases_refused": refused},
            controls={
                "messages that were handled twice": Hits(handled.messages_twice, products / 10),
                "leases that were refused": Hits(refused, products / 20),
            },
        )


def stop_postgres(servers: Servers, *, stops: int) -> Result:
    """PostgreSQL stops as in a crash, again and again, and recovers."""
    first_writes_s = []
    with open_stage(servers, Plan()) as stage:
        with stage.load():
            for _ in range(stops):
                stage.until_answered(5)
                stage.postgres.stop_immediately()
                stage.until_put_off(1)
                stage.postgres.start()
                first_writes_s.append(stage.until_answered(1))
        first_write_s = Bound(round(percentile(first_writes_s, 0.99), 2), FIRST_WRITE_S)
        return conclude(
            stage,
            {
                "restarts": stops,
                "first_write_p50_s": round(percentile(first_writes_s, 0.5), 2),
                "first_write_p99_s": first_write_s.measured,
            },
            {"seconds from a start to a good write, p99": first_write_s},
        )


def cut_commits(servers: Servers, *, felt: int) -> Result:
    """Connections end during COMMIT, before PostgreSQL hears it or before its client hears that it was done.

    It goes on until clients were told to come again for *felt* writes; workers and relays feel others.
    """
    chance = random.Random(SEED)
    before, after = 0, 0

    def cut_request(chunk: Chunk) -> Fate:
        nonlocal before
        is_cut = b"COMMIT" in chunk.said and chance.random() < 0.1
        before += is_cut
        return Fate.CUT if is_cut else Fate.PASS

    def cut_reply(chunk: Chunk) -> Fate:
        nonlocal after
        is_cut = b"COMMIT" in chunk.asked and chance.random() < 0.1
        after += is_cut
        return Fate.CUT if is_cut else Fate.PASS

    with open_stage(servers, Plan(proxied=frozenset({"postgres"}))) as stage:
        proxy = stage.proxies["postgres"]
        proxy.requests, proxy.replies = cut_request, cut_reply
        with stage.load():
            stage.until_put_off(felt)
            proxy.requests = proxy.replies = always_pass
        told, replayed = stage.clients.answers[COME_AGAIN], stage.clients.replayed
        return conclude(
            stage,
            {"cut_before_commit": before, "cut_after_commit": after, "felt_by_clients": told, "replayed": replayed},
            controls={
                "commits cut before": Hits(before, felt / 4),
                "commits cut after": Hits(after, felt / 4),
                "answers that were lost and given again": Hits(replayed, felt / 20),
            },
        )


def _wipe(client: redis.Redis) -> int:
    """Empty Redis and return how many messages were in its queues."""
    messages = sum(client.xlen(stream) for stream in client.scan_iter("rustok:queue:*"))
    client.flushall()
    return messages


def delivers(chunk: Chunk) -> bool:
    """Tell whether a reply of Redis brings messages to a worker, and does not only say that there are none."""
    return b"XREADGROUP" in chunk.asked and not chunk.said.startswith((b"*-1", b"-"))


def _no_write_errors(stage: Stage) -> Mapping[str, Bound]:
    """Also what was put off is one: by an API that cannot, or by admission, since events are late."""
    put_off = (count for answer, count in stage.clients.answers.items() if answer.status == 429 or answer.status >= 500)
    return {"write errors of the API": Bound(sum(put_off) + stage.clients.unanswered, 0)}
