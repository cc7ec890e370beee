"""Local single-user mode: who counts as the person at this computer, and how a browser signs in."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx
import pytest
from cryptography.fernet import Fernet
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st

from omniforge.core.clock import SystemClock
from omniforge.core.config import Settings
from omniforge.core.crypto import KeyUnusable, MasterKeys
from omniforge.core.errors import Conflict, Forbidden, Invalid, NotFound
from omniforge.db import Database
from omniforge.tenants import SecretBox, TenantService
from omniforge.tenants.auth import load_jwt_key
from omniforge.tenants.local import BindingRefused, RequestFacts, check_binding, check_source, is_local_owner

Connect = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]
BROWSER = {"sec_fetch_site": "same-origin", "sec_fetch_mode": "cors", "sec_fetch_dest": "empty"}


async def status(connect: Connect, path: str = "/api/v1/me", **how: str) -> int:
    async with connect(**how) as http:
        return (await http.get(path)).status_code


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST", "::1", "127.1.2.3"])
def test_loopback_needs_no_sign_in(host: str) -> None:
    check_binding(Settings(host=host))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org", "127.0.0.1.example.org", ""])
def test_listening_elsewhere_without_sign_in_is_refused_with_the_next_step(host: str) -> None:
    with pytest.raises(BindingRefused, match="OMNIFORGE_AUTH_REQUIRED=true"):
        check_binding(Settings(host=host))
    check_binding(Settings(host=host, auth_required=True))


async def test_nothing_needs_to_be_configured(http: httpx.AsyncClient) -> None:
    me = (await http.get("/api/v1/me")).json()
    assert (me["user"]["id"], me["tenant"]["id"], me["role"]) == ("local", "default", "owner")
    assert "tenant:manage" in me["permissions"]
    assert me["limits"] == {"request_bytes": 1_048_576, "active_steps": 64}


@pytest.mark.parametrize(
    "base", ["http://localhost:8700", "http://127.0.0.1:9000", "http://[::1]:8700", "http://LOCALHOST"]
)
async def test_programs_here_are_the_local_owner(connect: Connect, base: str) -> None:
    assert await status(connect, base=base) == 200
    assert await status(connect, base=base, client="::1") == 200
    assert await status(connect, base=base, client="::ffff:127.0.0.1") == 200
    assert await status(connect, base=base, user_agent="curl/8.1") == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8700",
        "localhost.evil.example",
        "127.0.0.1.nip.io",
        "0.0.0.0:8700",
        "[::]:8700",
        "127.1",
        "2130706433",
        "0x7f.0.0.1",
        "localhost.",
        "user@localhost",
        "localhost:8700:1",
        "localhost:port",
        "192.168.1.5",
        "[::1",
        "",
        " ",
        "localhost, evil.example",
        "x" * 300,
    ],
)
async def test_a_rebound_or_strange_host_is_refused(connect: Connect, host: str) -> None:
    assert await status(connect, host=host) == 403
    assert await status(connect, "/login?link=x", host=host) == 403


async def test_a_strange_host_is_refused_even_with_a_good_credential(
    connect: Connect, service: TenantService
) -> None:
    token = (await service.issue_tokens("default", "local")).access_token
    assert await status(connect, authorization=f"Bearer {token}") == 200
    assert await status(connect, authorization=f"Bearer {token}", host="evil.example") == 403


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "http://localhost:3000",
        "http://127.0.0.1:8701",
        "http://localhost:8700",
        "https://127.0.0.1",
        "null",
        "",
        "http://127.0.0.1:8700.evil.example",
        "http://evil.example#127.0.0.1:8700",
        "ftp://127.0.0.1:8700",
        "file://",
        "127.0.0.1:8700",
        "http://127.0.0.1:8700/",
    ],
)
async def test_another_origin_is_refused_with_or_without_credential(
    connect: Connect, service: TenantService, origin: str
) -> None:
    token = (await service.issue_tokens("default", "local")).access_token
    assert await status(connect, origin=origin) == 403
    assert await status(connect, origin=origin, authorization=f"Bearer {token}") == 403
    async with connect(origin=origin) as http:
        assert (await http.post("/api/v1/keys", json={})).status_code == 403
        assert (await http.post("/api/v1/auth/refresh", json={"refresh": "x"})).status_code == 403
        assert (await http.post("/api/v1/auth/logout")).status_code == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site", "anything"])
async def test_a_request_that_another_page_caused_is_refused(connect: Connect, site: str) -> None:
    assert await status(connect, sec_fetch_site=site) == 403
    assert await status(connect, sec_fetch_site=site, sec_fetch_mode="no-cors", sec_fetch_dest="image") == 403
    framed = {"sec_fetch_mode": "navigate", "sec_fetch_dest": "iframe"}
    assert await status(connect, sec_fetch_site=site, **framed) == 403


async def test_a_link_on_another_page_may_open_ours_but_not_post(
    connect: Connect, service: TenantService
) -> None:
    link = await service.create_login_link()
    opens = {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate", "sec_fetch_dest": "document"}
    assert await status(connect, link.removeprefix("http://127.0.0.1:8700"), **opens) == 303
    async with connect(**opens) as http:
        assert (await http.post("/api/v1/auth/logout")).status_code == 403


@pytest.mark.parametrize(
    "marks",
    [
        BROWSER,
        {"sec_fetch_site": "none", "sec_fetch_mode": "navigate"},
        {"sec_fetch_mode": "cors"},
        {"origin": "http://127.0.0.1:8700"},
        {"referer": "http://127.0.0.1:8700/"},
        {"user_agent": "Mozilla/5.0 (X11; Linux x86_64)"},
        {"x_forwarded_for": "203.0.113.9"},
        {"forwarded": "for=203.0.113.9"},
        {"via": "1.1 proxy"},
    ],
    ids=str,
)
async def test_a_browser_or_proxy_is_not_the_owner_without_a_session(
    connect: Connect, marks: dict[str, str]
) -> None:
    assert await status(connect, **marks) == 401


@pytest.mark.parametrize("client", ["192.168.1.9", "203.0.113.9", "10.0.0.1", "::2", "testclient", ""])
async def test_somebody_from_elsewhere_is_not_the_owner(connect: Connect, client: str) -> None:
    assert await status(connect, client=client) == 401


async def test_a_listed_name_is_answered_but_does_not_make_the_owner(
    connect: Connect, service: TenantService
) -> None:
    service.settings = Settings(home=service.settings.home, allowed_hosts=["forge.lan"])
    token = (await service.issue_tokens("default", "local")).access_token
    assert await status(connect, base="http://forge.lan") == 401
    assert await status(connect, base="http://forge.lan", authorization=f"Bearer {token}") == 200


@pytest.fixture
def guarded(app: FastAPI, service: TenantService) -> Settings:
    """The same installation, serving others."""
    service.settings = Settings(
        home=service.settings.home,
        auth_required=True,
        host="0.0.0.0",
        public_url="https://forge.example.org",
        allowed_hosts=["intern.example"],
    )
    return service.settings


async def test_a_server_for_many_has_no_local_owner(connect: Connect, guarded: Settings) -> None:
    assert await status(connect) == 401


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("forge.example.org", 200),
        ("FORGE.example.org:443", 200),
        ("intern.example:8700", 200),
        ("10.1.2.3:8700", 200),
        ("localhost:8700", 200),
        ("0.0.0.0:8700", 403),
        ("www.forge.example.org", 403),
        ("example.org", 403),
    ],
)
async def test_a_server_for_many_answers_to_its_names_only(
    connect: Connect, service: TenantService, guarded: Settings, host: str, expected: int
) -> None:
    token = (await service.issue_tokens("default", "local")).access_token
    assert await status(connect, authorization=f"Bearer {token}", host=host, client="203.0.113.9") == expected


async def test_the_link_signs_a_browser_in_once(connect: Connect, service: TenantService) -> None:
    link = await service.create_login_link()
    assert link.startswith("http://127.0.0.1:8700/login?link=")
    opens = {"sec_fetch_site": "none", "sec_fetch_mode": "navigate", "sec_fetch_dest": "document"}
    async with connect(**opens) as http:
        answer = await http.get(link)
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        cookie = answer.headers["set-cookie"]
        for part in ("omniforge_session_8700=", "HttpOnly", "SameSite=strict", "Path=/", "Max-Age=2592000"):
            assert part in cookie
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        http.headers.update({name.replace("_", "-"): value for name, value in BROWSER.items()})
        assert (await http.get("/api/v1/me")).json()["user"]["id"] == "local"
    async with connect(**opens) as other:
        again = await other.get(link)
        assert again.status_code == 401
        assert "set-cookie" not in again.headers
        assert "omniforge up" in again.text


async def test_a_secure_address_gives_a_secure_cookie(
    connect: Connect, service: TenantService, guarded: Settings
) -> None:
    link = await service.create_login_link()
    async with connect(base="https://forge.example.org") as http:
        assert "Secure" in (await http.get(link)).headers["set-cookie"]


async def test_a_link_ends_after_a_day(connect: Connect, service: TenantService, clock: Any) -> None:
    early, late = await service.create_login_link(), await service.create_login_link()
    clock.turn(hours=23, minutes=59)
    assert await status(connect, early.removeprefix("http://127.0.0.1:8700")) == 303
    clock.turn(minutes=1)
    assert await status(connect, late.removeprefix("http://127.0.0.1:8700")) == 401


@pytest.mark.parametrize(
    "link", ["", "x", "of_ll_", "of_ll_" + "a" * 43, "of_ss_" + "a" * 43, "<script>", "é" * 49]
)
async def test_what_is_no_link_is_a_plain_page(http: httpx.AsyncClient, link: str) -> None:
    answer = await http.get("/login", params={"link": link})
    assert answer.status_code == 401
    assert answer.headers["content-type"].startswith("text/html")
    assert "<script>" not in answer.text


@pytest.mark.parametrize("cookie", ["", "x", "of_ss_" + "a" * 43, "of_sk_" + "a" * 43])
async def test_an_invalid_session_never_falls_back_to_the_local_owner(connect: Connect, cookie: str) -> None:
    assert await status(connect, cookie=f"omniforge_session_8700={cookie}") == 401


async def test_the_cookie_of_another_server_on_this_computer_is_not_ours(connect: Connect) -> None:
    assert await status(connect, cookie="omniforge_session_9999=of_ss_x; theme=dark") == 200


async def signed_in(connect: Connect, service: TenantService) -> str:
    async with connect() as http:
        await http.get(await service.create_login_link())
        return f"omniforge_session_8700={http.cookies['omniforge_session_8700']}"


async def test_a_session_is_of_no_use_to_other_pages(connect: Connect, service: TenantService) -> None:
    cookie = await signed_in(connect, service)
    assert await status(connect, cookie=cookie, **BROWSER) == 200
    assert await status(connect, cookie=cookie, origin="http://localhost:3000") == 403
    assert await status(connect, cookie=cookie, sec_fetch_site="same-site", sec_fetch_mode="no-cors") == 403


async def test_a_session_works_from_our_own_page(connect: Connect, service: TenantService) -> None:
    cookie = await signed_in(connect, service)
    async with connect(cookie=cookie, origin="http://127.0.0.1:8700", **BROWSER) as http:
        body = {"name": "ci", "permissions": ["agent:view"]}
        assert (await http.post("/api/v1/keys", json=body)).status_code == 201


async def test_a_bad_header_wins_over_a_good_session(connect: Connect, service: TenantService) -> None:
    cookie = await signed_in(connect, service)
    assert await status(connect, cookie=cookie, authorization="Bearer x") == 401


async def test_a_session_ends_with_logout_and_with_time(
    connect: Connect, service: TenantService, clock: Any
) -> None:
    left, kept = await signed_in(connect, service), await signed_in(connect, service)
    async with connect(cookie=left, **BROWSER) as http:
        answer = await http.post("/api/v1/auth/logout")
        assert 'omniforge_session_8700=""' in answer.headers["set-cookie"]
    assert await status(connect, cookie=left, **BROWSER) == 401
    assert await status(connect, cookie=kept, **BROWSER) == 200
    clock.turn(days=30)
    assert await status(connect, cookie=kept, **BROWSER) == 401


async def test_the_local_owner_has_nothing_to_log_out_of(http: httpx.AsyncClient) -> None:
    assert (await http.post("/api/v1/auth/logout")).json() == {"success": True}
    assert (await http.get("/api/v1/me")).status_code == 200


header_texts = st.text(st.characters(max_codepoint=255), max_size=40)


@given(
    st.dictionaries(st.sampled_from(["host", "origin", "sec-fetch-site", "referer"]), header_texts), st.text()
)
def test_no_header_breaks_the_source_check_or_lets_a_stranger_in(
    headers: dict[str, str], client: str
) -> None:
    settings, facts = Settings(), RequestFacts("POST", headers, client)
    try:
        check_source(facts, settings)
    except Forbidden:
        return
    assert headers["host"].lower().startswith(("localhost", "127.", "[::1]"))
    assert not is_local_owner(facts, settings) or client in ("localhost", "127.0.0.1", "::1")


async def test_a_second_start_keeps_everything(service: TenantService, settings: Settings) -> None:
    pair = await service.issue_tokens("default", "local")
    box = SecretBox(MasterKeys.from_settings(settings))
    again = TenantService(service.db, settings, service.clock, box, load_jwt_key(settings))
    await again.bootstrap()
    await again.bootstrap()
    assert (await again.refresh(pair.refresh_token)).access_token


async def test_a_start_with_another_key_is_refused_in_plain_words(
    service: TenantService, database: Database, settings: Settings
) -> None:
    foreign = SecretBox(MasterKeys.from_text(Fernet.generate_key().decode(), "the setting X"))
    with pytest.raises(KeyUnusable, match="the setting X"):
        await TenantService(database, settings, SystemClock(), foreign, b"x" * 32).bootstrap()


async def test_a_customer_is_a_tenant_with_a_parent(service: TenantService) -> None:
    await service.create_tenant("acme", "Acme")
    await service.create_tenant("acme-bob", "Bob", parent_id="acme")
    with pytest.raises(Conflict):
        await service.create_tenant("acme", "Acme")
    with pytest.raises(NotFound):
        await service.create_tenant("lost", "Lost", parent_id="nobody")


@pytest.mark.parametrize("tenant_id", ["", "@installation", "Acme", "-a", "a" * 64, "a b", "ä", "a\n"])
async def test_a_tenant_id_is_plain(service: TenantService, tenant_id: str) -> None:
    with pytest.raises(Invalid):
        await service.create_tenant(tenant_id, "X")
