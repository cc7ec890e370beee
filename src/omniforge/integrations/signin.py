"""Signing in at a service: from the link to the stored connection, once per link, for its owner only."""

from __future__ import annotations

import hashlib
import logging
import secrets as random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

import httpx

from omniforge.core.actor import Actor
from omniforge.core.clock import Clock, new_id
from omniforge.core.config import Settings
from omniforge.core.errors import Conflict, Invalid, NotFound, OmniForgeError, RateLimited
from omniforge.db import Database
from omniforge.integrations import oauth, store
from omniforge.integrations.errors import ConnectionDeclined, GrantRefused, StateInvalid
from omniforge.integrations.manifest import Integration
from omniforge.integrations.schemas import ConnectionKind, ConnectionStatus, SignIn
from omniforge.integrations.store import ConnectionRow, StateRow
from omniforge.integrations.tokens import end_of, seal_pair
from omniforge.tenants import SecretBox

STATE_LIFETIME = timedelta(minutes=10)
KEPT = timedelta(days=1)
STARTS_PER_HOUR = 20
OUTCOME_POLLS = 200
POLL_SECONDS = 0.1

logger = logging.getLogger(__name__)


class Outcome(StrEnum):
    CONNECTED = "connected"
    DECLINED = "declined"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose access it is, and in which workspace."""

    workspace_id: str
    workspace_name: str


@dataclass(frozen=True, slots=True)
class ConnectionArrived:
    """A sign-in ended well. `session_id` is the conversation it was started from, if any."""

    tenant_id: str
    user_id: str
    integration_id: str
    connection_id: str
    workspace_name: str
    session_id: str | None
    return_to: str | None = None


@dataclass(frozen=True, slots=True)
class SignInDeclined:
    """A person said no on the service's page."""

    tenant_id: str
    user_id: str
    integration_id: str
    session_id: str | None
    return_to: str | None = None


class FinishWhereStarted(Conflict):
    """This browser cannot show that it belongs to the person who started."""

    code = "finish_where_started"


@dataclass(frozen=True, slots=True)
class Finisher:
    """Who brings a state back: a signed-in caller, or (without one) a browser with the value it was given."""

    actor: Actor | None = None
    browser: str | None = None


Identify = Callable[[Integration, str, str], Awaitable[Identity]]
"""Asks the service whose access token this is, for a tenant."""


class SignIns:
    """Starts and finishes sign-ins. States are stored hashed, live ten minutes and work once."""

    def __init__(  # noqa: PLR0917 - its collaborators
        self,
        db: Database,
        secrets: SecretBox,
        settings: Settings,
        clock: Clock,
        catalog: Mapping[str, Integration],
        http: httpx.AsyncClient,
        identify: Identify,
    ) -> None:
        self._db, self._secrets, self._settings, self._clock = db, secrets, settings, clock
        self._catalog, self._http, self._identify = catalog, http, identify

    async def start(
        self,
        actor: Actor,
        integration: Integration,
        *,
        session_id: str | None,
        return_to: str | None,
        browser: str | None,
    ) -> SignIn:
        client = oauth.client_of(self._settings, integration.manifest)
        if client is None:
            raise oauth.not_configured(integration.manifest)
        check_return_to(return_to)
        now, state = self._clock.now(), random.token_urlsafe(32)
        verifier = oauth.new_verifier() if integration.manifest.sign_in.pkce else None
        row = StateRow(
            id=new_id("signin"),
            tenant_id=actor.tenant_id,
            user_id=actor.user_id,
            integration_id=integration.id,
            state_hash=hashed(state),
            browser_hash=hashed(browser) if browser else None,
            redirect_uri=client.redirect_uri,
            session_id=session_id,
            return_to=return_to,
            created_at=now,
            expires_at=now + STATE_LIFETIME,
        )
        async with self._db.transaction() as session:
            await store.delete_old_states(session, now - KEPT)
            since = now - timedelta(hours=1)
            if await store.count_states(session, actor.tenant_id, actor.user_id, since) >= STARTS_PER_HOUR:
                raise RateLimited(
                    "That were many sign-ins in one hour. Please try again a little later.",
                    retry_after=600,
                    limit="sign_in_starts",
                )
            if verifier is not None:
                row.verifier = await self._secrets.seal(
                    session, actor.tenant_id, StateRow.__tablename__, row.id, "verifier", verifier
                )
            session.add(row)
        url = oauth.authorize_url(integration.manifest, client, state, verifier)
        return SignIn(auth_url=url, state=state, expires_at=row.expires_at)

    async def finish(
        self, integration_id: str, code: str, state: str, finisher: Finisher
    ) -> tuple[str, ConnectionArrived | None]:
        """The connection's id, and the arrival to announce (None when it was announced before)."""
        row = await self._take(integration_id, state, finisher)
        if row is None:
            return await self._stored_outcome(state), None
        integration = self._catalog[integration_id]
        try:
            return await self._connect(integration, row, code)
        except GrantRefused:
            await self._end(row, Outcome.FAILED)
            raise StateInvalid from None
        except OmniForgeError:
            await self._end(row, Outcome.FAILED)
            raise

    async def decline(self, integration_id: str, state: str, finisher: Finisher) -> SignInDeclined | None:
        """Note that the person said no; None when the sign-in had ended before."""
        row = await self._take(integration_id, state, finisher)
        if row is None:
            return None
        await self._end(row, Outcome.DECLINED)
        return SignInDeclined(row.tenant_id, row.user_id, row.integration_id, row.session_id, row.return_to)

    async def return_to(self, state: str) -> str | None:
        """Where the page leads after the sign-in of that state."""
        async with self._db.read() as session:
            row = await store.find_state(session, hashed(state))
        return row.return_to if row else None

    async def _take(self, integration_id: str, state: str, finisher: Finisher) -> StateRow | None:
        """Use the state up and return it; None when it was used before by the same finisher."""
        now = self._clock.now()
        async with self._db.transaction() as session:
            row = await store.find_state(session, hashed(state))
            if row is None or row.integration_id != integration_id or integration_id not in self._catalog:
                raise StateInvalid
            self._check_finisher(row, finisher)
            if row.consumed_at is not None:
                return None
            if not await store.consume_state(session, row, now):
                raise StateInvalid
            return row

    def _check_finisher(self, row: StateRow, finisher: Finisher) -> None:
        """Whether this state may be finished this way; StateInvalid when not.

        A signed-in caller must be the one who started. A browser page has no caller: it must show the value
        its browser was given at the start. A sign-in started without one (terminal, SDK) is finished by any
        browser in a single-user installation; elsewhere only by its own caller, because a link sent to
        somebody else would otherwise hand that person's workspace to the sender.
        """
        if finisher.actor is not None:
            if (finisher.actor.tenant_id, finisher.actor.user_id) != (row.tenant_id, row.user_id):
                raise StateInvalid
        elif row.browser_hash is not None:
            given = hashed(finisher.browser or "")
            if not random.compare_digest(given, row.browser_hash):
                raise StateInvalid
        elif self._settings.auth_required:
            raise FinishWhereStarted(
                "Almost done. Go back to where you started and paste the address of this page there."
            )

    async def _stored_outcome(self, state: str) -> str:
        """What came of a used state; waits for the caller who is at it just now."""
        for _ in range(OUTCOME_POLLS):
            async with self._db.read() as session:
                row = await store.find_state(session, hashed(state))
            match row.outcome if row else Outcome.FAILED:
                case Outcome.CONNECTED if row and row.connection_id:
                    return row.connection_id
                case Outcome.DECLINED:
                    raise ConnectionDeclined(
                        "You chose not to allow access. We can try again, or go on with sample data."
                    )
                case None:
                    await self._clock.sleep(POLL_SECONDS)
                case _:
                    raise StateInvalid
        raise StateInvalid

    async def _connect(
        self, integration: Integration, state: StateRow, code: str
    ) -> tuple[str, ConnectionArrived]:
        client = oauth.client_of(self._settings, integration.manifest)
        if client is None:
            raise oauth.not_configured(integration.manifest)
        async with self._db.read() as session:
            verifier = (
                await self._secrets.open(
                    session, state.tenant_id, StateRow.__tablename__, state.id, "verifier", state.verifier
                )
                if state.verifier
                else None
            )
        tokens = await oauth.exchange_code(
            self._http,
            integration.manifest,
            client,
            code=code,
            redirect_uri=state.redirect_uri,
            verifier=verifier,
        )
        found = await self._identify(integration, tokens.access, state.tenant_id)
        identity = Identity(
            tokens.workspace_id or found.workspace_id, tokens.workspace_name or found.workspace_name
        )
        connection_id = await self.store(
            state.tenant_id, state.user_id, integration, ConnectionKind.OAUTH, identity, tokens, state
        )
        arrived = ConnectionArrived(
            state.tenant_id,
            state.user_id,
            integration.id,
            connection_id,
            identity.workspace_name,
            state.session_id,
            state.return_to,
        )
        return connection_id, arrived

    async def store(  # noqa: PLR0917 - whose, what, and with which tokens
        self,
        tenant_id: str,
        user_id: str,
        integration: Integration,
        kind: ConnectionKind,
        identity: Identity,
        tokens: oauth.Tokens,
        state: StateRow | None = None,
    ) -> str:
        """Store a connection with its tokens, sealed; the same workspace connected again renews its row."""
        now = self._clock.now()
        async with self._db.transaction() as session:
            row = await store.find_workspace(
                session, tenant_id, user_id, integration.id, identity.workspace_id
            )
            if row is None:
                row = ConnectionRow(
                    id=new_id("conn"),
                    tenant_id=tenant_id,
                    user_id=user_id,
                    integration_id=integration.id,
                    workspace_id=identity.workspace_id,
                    generation=0,
                    created_at=now,
                )
            row.workspace_name = identity.workspace_name
            row.kind = kind
            row.access_secret, row.refresh_secret = await seal_pair(
                self._secrets, session, row, tokens.access, tokens.refresh
            )
            row.token_type = tokens.token_type
            row.expires_at = end_of(tokens, now)
            row.scopes = list(tokens.scopes)
            row.status = ConnectionStatus.HEALTHY
            row.generation += 1
            row.renewing_until = None
            row.updated_at = now
            session.add(row)
            if state is not None:
                await store.end_state(session, state, Outcome.CONNECTED, row.id)
            return row.id

    async def _end(self, row: StateRow, outcome: Outcome) -> None:
        async with self._db.transaction() as session:
            await store.end_state(session, row, outcome, None)


def hashed(secret: str) -> bytes:
    return hashlib.sha256(secret.encode(errors="surrogatepass")).digest()


def check_return_to(address: str | None) -> None:
    """Only a path on this very site may be returned to: no scheme, no host, nothing browsers read as one."""
    if address is None:
        return
    bad = not address.startswith("/") or address.startswith(("//", "/\\")) or "\\" in address
    if bad or len(address) > 500 or not address.isascii() or not address.isprintable() or " " in address:
        entry = {
            "field": "return_to",
            "value": address[:200],
            "rule": "a path on this site, such as /chat/abc",
        }
        raise Invalid("return_to has to be a path on this site.", fields=[entry])


def known(catalog: Mapping[str, Integration], integration_id: str) -> Integration:
    """The integration of that id, or NotFound."""
    integration = catalog.get(integration_id)
    if integration is None:
        raise NotFound(f"There is no integration {integration_id!r}.", known=sorted(catalog))
    return integration
