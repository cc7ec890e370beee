"""Local servers of all services: which are started, where, and what an installation has to be told."""

from __future__ import annotations

import json
import socket

import httpx
import pytest
from rich.console import Console

from omniforge.cli.dev_services import by_port, choose, serve, show
from omniforge.core.config import Settings
from omniforge.core.errors import Invalid, Unavailable
from omniforge.integrations.standin import find_standins

HERE = "http://127.0.0.1:8700"


def test_every_folder_with_a_local_server_is_started_on_consecutive_ports():
    places = choose(9000, "", HERE)
    assert [place.name for place in places] == list(find_standins())
    assert [place.port for place in places] == list(range(9000, 9000 + len(places)))


def test_only_some_are_started_and_unknown_names_are_told_with_the_known_ones():
    assert [place.name for place in choose(9000, " notion ", HERE)] == ["notion"]
    with pytest.raises(Invalid) as refusal:
        choose(9000, "notion,trello", HERE)
    assert "trello" in refusal.value.message
    assert "notion" in refusal.value.message


def test_the_environment_is_what_the_settings_read(monkeypatch: pytest.MonkeyPatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for place in choose(9000, "", HERE):
        for name, value in place.settings().items():
            monkeypatch.setenv(name, value)
        service = Settings(home=tmp_path).service(place.name)
        assert service.base_url == place.url
        assert service.client_id == place.standin.CLIENT_ID
        assert service.redirect_uri == f"{HERE}/oauth/callback/{place.name}"
        assert service.client_secret is not None
        assert service.webhook_secret is not None
        assert service.webhook_secret.get_secret_value() == place.webhook_secret


async def test_each_server_answers_at_its_own_port():
    places = choose(9000, "", HERE)
    app = by_port(places)
    for place in places:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url=place.url) as http:
            told = (await http.get("/_control/requests")).json()
            assert told["requests"] == []


async def test_a_port_in_use_is_said_with_what_to_do():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(Unavailable) as refusal:
            await serve(port, "notion", HERE, Console(quiet=True))
    assert str(port) in refusal.value.message
    assert "--port" in refusal.value.message


def test_the_printed_json_is_one_document(capsys: pytest.CaptureFixture[str]):

    show(choose(9000, "notion", HERE), Console(), as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert told["services"]["notion"]["url"] == "http://127.0.0.1:9000"
    assert "NOTION_CLIENT_ID" in told["services"]["notion"]["environment"]
