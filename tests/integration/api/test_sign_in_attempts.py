"""Attempts to sign in: how they are counted, whom they hold up, and what a stranger learns of it."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import httpx2
import pytest

from rustok.kernel.ids import uuid7
from rustok.modules.access import Attempt, Circumstances, SignInRefused, SignIns, TooManyHashes, purge_sign_ins
from rustok.modules.access.passwords import PASSWORDS, PasswordHasher
from tests.integration.api.house import BASE, EMAIL, NEW_PASSWORD, PASSWORD, SESSIONS, House
from tests.integration.api.support import UNKNOWN_ID, administrator, assert_problem


class Busy(PasswordHasher):
    """Has no turn for one kind of work."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self._kind = kind

    async def verify(self, password_hash: str | None, password: str) -> bool:
        self._refuse("verify")
        return await super().verify(password_hash, password)

    async def hash(self, password: str) -> str:
        self._refuse("hash")
        return await super().hash(password)

    def _refuse(self, kind: str) -> None:
        if kind == self._kind:
            raise TooManyHashes("Too many sign in at this moment: try again.")


Told = tuple[int, str, str | None]


def told(answer: httpx2.Response) -> Told:
    """Return all by which one refusal could be told from another."""
    return answer.status_code, answer.json()["code"], answer.headers.get("retry-after")


class TestGuessing:
    """Of passwords, and of addresses."""

    @pytest.mark.parametrize("email", [EMAIL, "bob@example.com"])
    async def test_is_slowed_down(self, house: House, email: str) -> None:
        """After five attempts, for longer each time, whether there is such a user or not."""
        for _ in range(5):
            assert_problem(await house.try_to_sign_in(email, "a guess"), 401, "sign_in_refused")
        waits = []
        for _ in range(4):
            answer = await house.try_to_sign_in(email, "a guess")
            assert_problem(answer, 429, "sign_in_blocked")
            waits.append(int(answer.headers["retry-after"]))
            house.clock.advance(waits[-1])
            assert_problem(await house.try_to_sign_in(email, "a guess"), 401, "sign_in_refused")

        assert waits == [1, 2, 4, 8]

    async def test_keeps_the_right_password_waiting_too(self, house: House) -> None:
        """Else a guess could be told from the answer; in an hour all is forgotten, and by a good one at once."""
        for _ in range(5):
            await house.try_to_sign_in(password="a guess")
        assert_problem(await house.try_to_sign_in(), 429, "sign_in_blocked")

        house.clock.advance(1)
        await house.sign_in()

        assert_problem(await house.try_to_sign_in(password="a guess"), 401, "sign_in_refused")
        assert_problem(await house.try_to_sign_in(password="a guess"), 401, "sign_in_refused")

    async def test_is_told(self, house: House) -> None:
        """In events, of a user by the id. Of addresses that are nobody's nothing is kept for good."""
        await house.try_to_sign_in(password="a guess")
        await house.try_to_sign_in("bob@example.com")

        told = [e.envelope for e in await house.api.rustok.events() if e.envelope.type == "access.sign_in.refused"]

        assert [envelope.payload["user_id"] for envelope in told] == [house.user_id]
        assert EMAIL not in str([envelope.payload for envelope in told])

    async def test_leaves_nothing_after_an_hour(self, house: House) -> None:
        """Of what was tried since, the count stays."""
        await house.try_to_sign_in("bob@example.com", "a guess")
        house.clock.advance((datetime.now(UTC) - house.clock.now()).total_seconds())
        await house.try_to_sign_in("eve@example.com", "a guess")

        assert await purge_sign_ins(house.api.rustok.system_engine) == 1

        async with administrator(house.api.database) as admin:
            assert await admin.fetchval("SELECT count(*) FROM sign_in_attempts") == 1

    @pytest.mark.parametrize("kind", ["verify", "hash"])
    async def test_does_not_count_what_was_not_looked_at(self, house: House, kind: str) -> None:
        """Others keep the hashes busy: whoever is told to try again may, and has learned nothing."""
        platform, secrets = house.api.rustok.platform, house.api.rustok.secrets
        attempt, about = Attempt(house.api.tenant_id, EMAIL, PASSWORD), Circumstances(uuid7(), None)
        calm, busy = (SignIns(platform.units, secrets, platform.sessions, hasher) for hasher in (PASSWORDS, Busy(kind)))
        for _ in range(4):
            with pytest.raises(SignInRefused):
                await calm.by_password(replace(attempt, password="a guess"), about)

        for _ in range(6):
            with pytest.raises(TooManyHashes):
                await busy.change_password(attempt, NEW_PASSWORD, about)

        async with administrator(house.api.database) as admin:
            assert await admin.fetchval("SELECT count FROM sign_in_attempts") == 4
        await calm.by_password(attempt, about)

    async def test_of_one_address_holds_up_no_other(self, house: House) -> None:
        """Each has its own count."""
        for _ in range(6):
            await house.try_to_sign_in("bob@example.com", "a guess")

        await house.sign_in()


@pytest.fixture
async def tenants(house: House) -> House:
    """Beside acme there are globex, and initech, which is switched off."""
    await house.api.rustok.create_tenant("globex")
    await house.api.rustok.run("tenants.tenants.disable", await house.api.rustok.create_tenant("initech"))
    return house


class TestWhetherThereIsSuchATenant:
    """Attempts do not tell."""

    @pytest.mark.parametrize("tenant", ["initech", "nobody", UNKNOWN_ID, "No Tenant's Name"])
    async def test_they_are_counted_all_the_same(self, tenants: House, tenant: str) -> None:
        """Wherever: the same answers in the same order, with the same waits."""
        series: dict[str, list[Told]] = {"acme": [], tenant: []}
        for _ in range(8):
            for name, answers in series.items():
                answers.append(told(await tenants.try_to_sign_in(password="a guess", tenant=name)))
            blocked = series["acme"][-1][2]
            tenants.clock.advance(0 if blocked is None else int(blocked))

        assert series[tenant] == series["acme"]
        assert series["acme"][5] == (429, "sign_in_blocked", "1")

    @pytest.mark.parametrize("tenant", ["acme", "initech", "nobody"])
    async def test_they_are_counted_at_the_same_moment_too(self, tenants: House, tenant: str) -> None:
        """Five are looked at, however many come at once."""
        answers = await asyncio.gather(*(tenants.try_to_sign_in(password="a guess", tenant=tenant) for _ in range(9)))

        assert Counter(map(told, answers)) == {(401, "sign_in_refused", None): 5, (429, "sign_in_blocked", "1"): 4}

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ({"X-Tenant": "{tenant}"}, {"Host": "{tenant}.shops.example"}),
            ({"X-Tenant": "{tenant}"}, {"X-Tenant": "{tenant}", "Host": "elsewhere.example"}),
            ({"X-Tenant": "{tenant}"}, {"X-Tenant": "{tenant}", "Host": "{tenant}.shops.example"}),
        ],
    )
    async def test_a_name_is_one_however_it_is_sent(
        self, tenants: House, one: dict[str, str], other: dict[str, str]
    ) -> None:
        """Of a tenant that is none, too: what was tried by one header is counted by another."""
        for tenant in ("acme", "nobody"):
            here, there = ({key: value.format(tenant=tenant) for key, value in sent.items()} for sent in (one, other))
            for _ in range(5):
                await tenants.post(SESSIONS, {"email": EMAIL, "password": "a guess"}, **here)
            answer = await tenants.post(SESSIONS, {"email": EMAIL, "password": "a guess"}, **there)

            assert_problem(answer, 429, "sign_in_blocked")

    async def test_an_id_is_one_in_capitals_too(self, tenants: House) -> None:
        """As of a tenant that there is."""
        for tenant in (str(tenants.api.tenant_id), UNKNOWN_ID.replace("0000", "abcd")):
            for _ in range(5):
                await tenants.try_to_sign_in(password="a guess", tenant=tenant)

            assert_problem(await tenants.try_to_sign_in(tenant=tenant.upper()), 429, "sign_in_blocked")

    async def test_one_tenant_is_one_by_two_names_whatever_is_remembered_of_each(self, tenants: House) -> None:
        """Its rules have changed between the looks at the two."""
        by_both = {"X-Tenant": str(tenants.api.tenant_id), "Host": f"acme.{BASE}"}
        body = {"email": EMAIL, "password": PASSWORD}
        before = await tenants.post(SESSIONS, body, Host=f"acme.{BASE}")
        role = await tenants.api.client.post("/api/v1/access/roles", json={"name": "clerk"})

        after = await tenants.post(SESSIONS, body, **by_both)

        assert [answer.status_code for answer in (before, role, after)] == [201, 201, 201]

    @pytest.mark.parametrize("at_host", ["acme", "nobody"])
    @pytest.mark.parametrize("named", ["globex", "somebody"])
    async def test_two_names_are_no_tenant(self, tenants: House, at_host: str, named: str) -> None:
        """Attempts there are counted for neither of the two, whichever of them there is."""
        headers = {"Host": f"{at_host}.{BASE}", "X-Tenant": named}
        for _ in range(5):
            answer = await tenants.post(SESSIONS, {"email": EMAIL, "password": PASSWORD}, **headers)
            assert_problem(answer, 401, "sign_in_refused")

        for tenant in (at_host, named):
            assert_problem(await tenants.try_to_sign_in(password="a guess", tenant=tenant), 401, "sign_in_refused")


async def block(house: House) -> None:
    """Try as strangers do, until the address is blocked."""
    while (await house.try_to_sign_in(password="a guess")).status_code != 429:
        pass


async def create_user(house: House, tenant: str, email: str) -> str:
    """Create a user of a tenant with the password that all have, and return a device of theirs."""
    rustok = house.api.rustok
    tenant_id = house.api.tenant_id if tenant == "acme" else await rustok.create_tenant(tenant)
    user = await rustok.run("access.users.create", tenant_id, email=email, name="Somebody", roles=[])
    await rustok.run("access.users.set_password", tenant_id, user_id=str(user.id), password=PASSWORD)
    return str((await house.sign_in(email=email, tenant=tenant))["device"])


class TestADevice:
    """On which the user has signed in before: a client shows what it was answered then."""

    async def test_lets_its_user_in_whatever_strangers_do(self, house: House) -> None:
        """They keep the address blocked; where nobody has signed in before, everybody waits."""
        device = (await house.sign_in())["device"]
        await block(house)

        assert (await house.try_to_sign_in(device=device)).status_code == 201
        assert_problem(await house.try_to_sign_in(), 429, "sign_in_blocked")

    async def test_is_known_for_good(self, house: House) -> None:
        """It stays the same, and outlives sessions; what a change of the password answers is as good."""
        device = (await house.sign_in())["device"]
        another = (await house.change_password()).json()["device"]
        house.clock.advance(400 * 86_400)

        for known in (device, another):
            await block(house)
            assert (await house.sign_in(password=NEW_PASSWORD, device=known))["device"] == known
        assert another != device

    async def test_lets_its_user_change_the_password(self, house: House) -> None:
        """While the address is blocked."""
        device = (await house.sign_in())["device"]
        await block(house)

        assert_problem(await house.change_password(), 429, "sign_in_blocked")
        assert (await house.change_password(device=device)).json()["device"] == device

    async def test_is_blocked_by_its_own_attempts(self, house: House) -> None:
        """As an address is, and it alone: neither the address nor another device waits for it."""
        device, another = (await house.sign_in())["device"], (await house.sign_in())["device"]
        for _ in range(5):
            assert_problem(await house.try_to_sign_in(password="a guess", device=device), 401, "sign_in_refused")

        answer = await house.try_to_sign_in(device=device)

        assert told(answer) == (429, "sign_in_blocked", "1")
        assert (await house.try_to_sign_in(device=another)).status_code == 201
        assert (await house.try_to_sign_in()).status_code == 201

    async def test_forgets_its_attempts_when_somebody_is_let_in(self, house: House) -> None:
        """Its own, and not those for the address."""
        device = (await house.sign_in())["device"]
        await block(house)
        for _ in range(4):
            await house.try_to_sign_in(password="a guess", device=device)
        await house.sign_in(device=device)

        for _ in range(4):
            assert_problem(await house.try_to_sign_in(password="a guess", device=device), 401, "sign_in_refused")
        assert_problem(await house.try_to_sign_in(), 429, "sign_in_blocked")

    @pytest.mark.parametrize("whose", ["another user", "another tenant", "nobody", "a forger"])
    async def test_of_somebody_else_helps_nobody(self, house: House, whose: str) -> None:
        """It is as none: attempts on it are counted for the address."""
        device = (await house.sign_in())["device"]
        foreign = {
            "another user": await create_user(house, "acme", "bob@example.com"),
            "another tenant": await create_user(house, "globex", EMAIL),
            "nobody": "rtd_1",
            "a forger": device[:-1] + ("0" if device[-1] != "0" else "1"),
        }[whose]

        for _ in range(5):
            assert_problem(await house.try_to_sign_in(password="a guess", device=foreign), 401, "sign_in_refused")

        assert_problem(await house.try_to_sign_in(device=foreign), 429, "sign_in_blocked")
        assert_problem(await house.try_to_sign_in(), 429, "sign_in_blocked")
        assert (await house.try_to_sign_in(device=device)).status_code == 201

    async def test_is_a_text_of_some_length(self, house: House) -> None:
        """A longer one is no device of anybody."""
        problem = assert_problem(await house.try_to_sign_in(device="a" * 513), 422, "invalid_input")

        assert problem["errors"][0]["pointer"] == "#/device"
