"""Which model is meant, who may use it, and what is missing when it cannot be asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from omniforge.core.config import ModelSettings, Settings, TenantModels
from omniforge.core.errors import Invalid
from omniforge.llm.choice import Choice, first_named
from omniforge.llm.client import Models, build_models
from omniforge.llm.protocol import Ask, ModelClient, ModelNotConfigured
from omniforge.llm.scripts import Script, Turn


def names(choice: Choice, name: str | None = None, tenant: str = "default") -> list[str]:
    return [str(found) for found in choice.candidates(name, tenant)]


def test_call_goes_before_skill_before_agent() -> None:
    assert first_named(None, "skill", "agent") == "skill"
    assert first_named("call", "skill", None) == "call"
    assert first_named(None, None) is None


def test_a_tenants_default_goes_before_the_installations() -> None:
    own = {"acme": TenantModels(default="fast")}
    choice = Choice(ModelSettings(default="openai:a", aliases={"fast": "local:b:7b"}, tenants=own))
    assert names(choice) == ["openai:a"]
    assert names(choice, tenant="acme") == ["local:b:7b"]
    assert names(choice, "fast") == ["local:b:7b"]


def test_fallbacks_follow_each_once_and_only_where_they_are_allowed() -> None:
    settings = ModelSettings(
        default="openai:a",
        fallbacks=["openai:a", "local:b", "anthropic:c"],
        tenants={"acme": TenantModels(allowed=["openai:*", "anthropic:c"])},
    )
    assert names(Choice(settings)) == ["openai:a", "local:b", "anthropic:c"]
    assert names(Choice(settings), tenant="acme") == ["openai:a", "anthropic:c"]


def test_a_model_that_is_not_listed_is_refused_with_the_list() -> None:
    choice = Choice(
        ModelSettings(default="openai:a", allowed=["openai:*", "fast"], aliases={"fast": "local:b"})
    )
    assert names(choice, "fast") == ["local:b"]
    with pytest.raises(Invalid, match="may not be used") as refused:
        choice.meant("local:c", "default")
    assert refused.value.details["allowed"] == ["openai:*", "fast"]


@pytest.mark.parametrize("name", ["gpt", ":x", "openai:", "around"])
def test_what_is_no_model_is_said_with_what_may_be_written(name: str) -> None:
    with pytest.raises(Invalid, match="provider:model"):
        Choice(ModelSettings(aliases={"around": "around"})).meant(name, "default")


def test_without_a_default_there_is_no_model() -> None:
    models = Models(ModelSettings())
    assert not models.is_configured()
    with pytest.raises(ModelNotConfigured, match="OMNIFORGE_MODEL"):
        Choice(ModelSettings()).meant(None, "default")


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("anthropic:a", "ANTHROPIC_API_KEY"),
        ("openai:a", "OPENAI_API_KEY"),
        ("openrouter:a/b", "OPENROUTER_API_KEY"),
        ("ollama:a", "ollama=http"),
        ("scripted:a", "OMNIFORGE_MODEL_SCRIPT"),
    ],
)
async def test_what_is_missing_is_named(name: str, missing: str) -> None:
    models = Models(ModelSettings(default=name))
    assert not models.is_configured()
    with pytest.raises(ModelNotConfigured, match=missing):
        models.check_model(name)
    with pytest.raises(ModelNotConfigured, match=missing):
        await models.ask(Ask("", "x"))


def test_with_a_key_or_an_address_it_is_configured() -> None:
    settings = ModelSettings(
        default="anthropic:a",
        anthropic_api_key=SecretStr("k"),
        servers={"ollama": "http://localhost:11434/v1"},
    )
    models: ModelClient = Models(settings)
    assert models.is_configured()
    assert models.is_configured(model="ollama:qwen:7b")
    assert not models.is_configured(model="openai:a")


async def test_a_fallback_without_a_key_is_passed_over() -> None:
    settings = ModelSettings(default="scripted:a", fallbacks=["openai:b"])
    models = Models(settings, script=Script([Turn(text="Hello")]))
    assert (await models.ask(Ask("", "x"))).text == "Hello"


async def test_a_script_comes_from_a_file(tmp_path: Path) -> None:
    script = tmp_path / "script.yaml"
    script.write_text("- text: Good morning\n- {fault: overloaded, times: 2}\n")
    models = build_models(Settings(llm=ModelSettings(default="scripted:demo", script=script)))
    assert (await models.ask(Ask("", "x"))).text == "Good morning"
    await models.close()


@pytest.mark.parametrize(
    "content", ["words: x", "- {say: x}", "- {fault: bad}", "- x", "- {tools: [{}]}", "[:"]
)
def test_a_script_that_is_none_is_refused(tmp_path: Path, content: str) -> None:
    script = tmp_path / "script.yaml"
    script.write_text(content)
    with pytest.raises(Invalid, match="script"):
        Models(ModelSettings(script=script))


def test_settings_are_read_as_people_write_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    written: dict[str, Any] = {
        "OMNIFORGE_MODEL": "fast",
        "OMNIFORGE_MODELS": "fast=openai:a, strong = anthropic:b",
        "OMNIFORGE_MODEL_FALLBACKS": "strong, local:c",
        "OMNIFORGE_MODEL_SERVERS": "local=http://localhost:8000/v1",
        "OMNIFORGE_MODEL_SERVER_KEYS": "local=abc",
        "OMNIFORGE_MODEL_TENANTS": '{"acme": {"allowed": ["openai:*"]}}',
        "OPENAI_API_KEY": "secret-key",
    }
    monkeypatch.chdir(tmp_path)
    for name, value in written.items():
        monkeypatch.setenv(name, value)
    settings = Settings().llm
    assert Choice(settings).candidates(None, "acme")[0].model == "a"
    assert names(Choice(settings)) == ["openai:a", "anthropic:b", "local:c"]
    assert settings.server_keys["local"].get_secret_value() == "abc"
    assert "secret-key" not in repr(settings)
