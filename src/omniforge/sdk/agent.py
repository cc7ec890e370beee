"""`Agent`: skills, what starts them, and what one does with it: test, run, deploy."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal, cast

from omniforge.agents import rules
from omniforge.agents.content import AgentDraft, TriggerType
from omniforge.agents.views import id_stem
from omniforge.client import Execution, OmniForgeClient, TestResult
from omniforge.core.config import Settings
from omniforge.core.errors import Invalid, Unauthenticated
from omniforge.integrations.manifest import load_catalog
from omniforge.sdk import skills
from omniforge.sdk.local import Local, Passing
from omniforge.sdk.publishing import Deployment, publish, switch_on, tell
from omniforge.sdk.skills import SkillRef

Json = dict[str, Any]
Mode = Literal["dry", "preview", "live"]
Suite = Literal["quick", "full", "regression"]
STARTS_BY_ITSELF = ("schedule", "event_config", "misfire_policy", "misfire_grace_seconds")


class Agent:
    """An agent as the conversation makes it, written in Python.

    skills: `SkillRef`s, or names. integrations: services it uses; without them, those whose tools its skills
    name. schedule: five cron fields, in `timezone`. folder: where `.omniforge/skills` is looked for; the
    current one without it. `Invalid` lists every mistake in `details["fields"]`.
    """

    def __init__(
        self,
        name: str,
        *,
        skills: Sequence[SkillRef | str | Mapping[str, Any]],
        description: str = "",
        trigger_type: TriggerType | str | None = None,
        schedule: str | None = None,
        timezone: str | None = None,
        integrations: Sequence[str] | None = None,
        event_config: Mapping[str, Any] | None = None,
        connections: Mapping[str, str] | None = None,
        settings: Mapping[str, Any] | None = None,
        id: str | None = None,  # noqa: A002 - the agent's own word
        folder: Path | str | None = None,
        **fields: Any,
    ) -> None:
        self._folder = Path.cwd() if folder is None else Path(folder).resolve()
        self.skills = [SkillRef.of(one) for one in skills]
        for number, reference in enumerate(self.skills, start=1):
            reference.order = reference.order or number
        given: Json = {
            **fields,
            "id": id,
            "name": name,
            "description": description,
            "trigger_type": trigger_type or _trigger(schedule, event_config),
            "schedule": schedule,
            "event_config": None if event_config is None else dict(event_config),
            "connections": dict(connections or {}),
            "settings": dict(settings or {}),
            "skills": [reference.model_dump(mode="json") for reference in self.skills],
            "integrations": self._services() if integrations is None else list(integrations),
            **({} if timezone is None else {"timezone": timezone}),
        }
        self._given = given
        self._draft = rules.check_draft(given, load_catalog())

    # --- what it is ----------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        return self._draft.name

    @property
    def content(self) -> AgentDraft:
        """Its fields, checked."""
        return self._draft

    def to_dict(self) -> Json:
        """Its fields as a server takes them; `Agent(**fields)` is the same agent again."""
        shown = self._draft.model_dump(mode="json")
        return {name: shown[name] for name in shown if name in self._given and shown[name] is not None}

    @classmethod
    def load(cls, path: Path | str) -> Agent:
        """The agent of a JSON file with the fields of `to_dict`; its skills are looked for beside it."""
        place = Path(path)
        try:
            given: Any = json.loads(place.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise Invalid(f"{place} cannot be read as an agent: {error}", code="unreadable") from error
        if not isinstance(given, dict) or "name" not in given or "skills" not in given:
            raise Invalid(f"{place} holds no agent: it is an object with name and skills.", code="unreadable")
        fields: Json = {"folder": place.resolve().parent, **cast("Json", given)}
        return cls(**fields)

    def __repr__(self) -> str:
        names = ", ".join(reference.name for reference in self.skills)
        return f"<Agent {self.name!r}: {names}>"

    # --- what one does with it -----------------------------------------------------------------------------

    async def test(
        self,
        dry_run: bool = True,
        *,
        mode: Mode | None = None,
        input_data: Mapping[str, Any] | None = None,
        suite: Suite = "quick",
        use_model: bool = False,
        local: Local | None = None,
    ) -> TestResult:
        """Try it. Dry (sample data, no network, nothing is kept), unless `mode` or `dry_run=False` says live.

        A preview reads your real data and changes nothing. A live test does for real what a dry run, made
        before it and told on stderr, showed.
        """
        chosen = mode or ("dry" if dry_run else "live")
        asked: Json = {"mode": chosen, "input_data": input_data, "suite": suite, "use_model": use_model}
        passing = local is None and chosen == "dry"
        async with _place(local, passing=passing) as client:
            here = self.to_dict() if passing else self._on_demand()
            agent = await publish(client, here, self._files())
            if chosen == "live":
                tell(self.name, await client.agents.test(agent.id, input_data=input_data))
                asked["confirm_effects"] = True
            return await client.agents.test(agent.id, **asked)

    async def run(
        self, input_data: Mapping[str, Any] | None = None, *, local: Local | None = None
    ) -> Execution:
        """Run it here, for real, to its end; before its first run it is tested with sample data.

        It runs in your own installation, as the agent `local-…` that starts only when it is asked to.
        `Conflict` with the code not_tested when the test fails; `Invalid` with connection_missing.
        """
        async with _place(local, passing=False) as client:
            agent = await switch_on(client, await publish(client, self._on_demand(), self._files()))
            return await client.agents.run(agent.id, input_data, wait=True)

    async def deploy(
        self, platform_url: str | None = None, *, api_key: str | None = None, activate: bool = False
    ) -> Deployment:
        """Bring it, with its own skills, to a server as a draft, or as the waiting version of what is there.

        The key is the setting `OMNIFORGE_API_KEY` unless one is given. With `activate` it is tested there
        and switched on; what it will do outside is told on stderr.
        """
        async with OmniForgeClient(api_key, platform_url) as client:
            try:
                agent = await publish(client, self.to_dict(), self._files())
            except Unauthenticated as error:
                message = f"{error.message} Give api_key, or set OMNIFORGE_API_KEY ('omniforge key create')."
                raise Unauthenticated(message, code=error.code, **error.details) from error
            if activate:
                await switch_on(client, agent)
                agent = await client.agents.get(agent.id)
            version = agent.pending_version or agent.version
            url = f"{client.base_url}/agents/{agent.id}"
            return Deployment(agent.id, version, agent.status, url, agent.problems)

    # --- small parts ---------------------------------------------------------------------------------------

    def _services(self) -> list[str]:
        return skills.services_of(self.skills, self._folder, Settings().home, load_catalog())

    def _files(self) -> dict[str, Mapping[str, bytes]]:
        return skills.own_files(self.skills, self._folder, Settings().home)

    def _on_demand(self) -> Json:
        """For this person's own installation, where it must not start by itself beside what is deployed."""
        fields = {name: value for name, value in self.to_dict().items() if name not in STARTS_BY_ITSELF}
        own = {"id": f"local-{id_stem(self.name)}", "trigger_type": TriggerType.ON_DEMAND.value}
        return fields | own


def _trigger(schedule: str | None, event_config: Mapping[str, Any] | None) -> TriggerType:
    if event_config is not None:
        return TriggerType.EVENT_DRIVEN
    return TriggerType.ON_DEMAND if schedule is None else TriggerType.SCHEDULED


@asynccontextmanager
async def _place(local: Local | None, *, passing: bool) -> AsyncGenerator[OmniForgeClient]:
    if local is not None:
        yield local.client
        return
    async with Passing() if passing else Local() as opened:
        yield opened.client
