"""Signing in at a service from a conversation, where everybody has to sign in to us as well."""

from __future__ import annotations

import base64
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
from pydantic import SecretStr

from living_server import BUILD
from omniforge.api.app import create_app
from omniforge.bootstrap import Installation
from omniforge.cli.demo import CONNECT
from omniforge.core.actor import Role
from omniforge.core.config import ServiceSettings, Settings

BASE = "http://127.0.0.1:8700"


async def test_a_sign_in_from_a_conversation_comes_back_to_its_own_browser_only(tmp_path: Path) -> None:
    notion = ServiceSettings(client_id="us", client_secret=SecretStr("s"))
    key = SecretStr(base64.urlsafe_b64encode(bytes(32)).decode())
    settings = Settings(
        home=tmp_path / "home", auth_required=True, services={"notion": notion}, credential_encryption_key=key
    )
    async with Installation.open(settings) as house:
        user_id = await house.tenants.create_user("default", "Maya", Role.DEVELOPER)
        tokens = await house.tenants.issue_tokens("default", user_id)
        transport = httpx.ASGITransport(create_app(house), raise_app_exceptions=False)
        headers = {"Authorization": f"Bearer {tokens.access_token}", "Sec-Fetch-Site": "same-origin"}
        async with (
            httpx.AsyncClient(transport=transport, base_url=BASE, headers=headers) as browser,
            httpx.AsyncClient(transport=transport, base_url=BASE) as stranger,
        ):
            begun = (await browser.post("/api/v1/conversation/start", json={})).json()
            path = f"/api/v1/conversation/{begun['session_id']}/message"
            for said in BUILD[: BUILD.index(CONNECT)]:
                reply = (await browser.post(path, json={"message": said})).json()
            state = parse_qs(urlsplit(reply["oauth_url"]).query)["state"][0]
            back = f"/oauth/callback/notion?error=access_denied&state={state}"
            assert (await stranger.get(back)).status_code == 422
            del browser.headers["Authorization"]  # the service leads back without our credential
            del browser.headers["Sec-Fetch-Site"]
            returned = await browser.get(back)
    assert (returned.status_code, "You chose not to allow access" in returned.text) == (200, True)
