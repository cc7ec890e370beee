"""`omniforge user`: who is here, asking somebody in, and what each may do."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from omniforge.cli.server import api, ask
from omniforge.cli.terminal import AsJson, Port, console, print_json, run, settings_with

app = typer.Typer(no_args_is_help=True)

Role = Annotated[str, typer.Option(help="viewer, operator, developer, admin or owner.")]


@app.callback()
def users() -> None:
    """The people of this tenant."""


@app.command("list")
def list_users(port: Port = None, as_json: AsJson = False) -> None:
    """Everybody here, by name."""
    found = run(_ask(port, "GET", "/users", params={"limit": 200}))
    if as_json:
        print_json(found)
        return
    table = Table("id", "name", "e-mail", "role")
    for one in found["users"]:
        table.add_row(one["id"], escape(one["name"]), escape(one["email"] or ""), one["role"])
    console.print(table)


@app.command()
def invite(
    email: str,
    *,
    role: Role = "operator",
    name: Annotated[str, typer.Option(help="Default: made of the address.")] = "",
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """Ask somebody in; prints the link that signs them in once."""
    made = run(_ask(port, "POST", "/users", json={"email": email, "role": role, "name": name}))
    if as_json:
        print_json(made)
        return
    console.print(f"{escape(made['name'])} is here now, as {made['role']} ({made['id']}).", highlight=False)
    console.print(f"Send them this, it signs in once:  {made['login_link']}", soft_wrap=True, highlight=False)


@app.command()
def role(user_id: str, role: str, port: Port = None, as_json: AsJson = False) -> None:
    """Give somebody another role."""
    changed = run(_ask(port, "PATCH", f"/users/{user_id}", json={"role": role}))
    if as_json:
        print_json(changed)
    else:
        console.print(f"{escape(changed['name'])} is {changed['role']} now.", highlight=False)


async def _ask(port: int | None, method: str, path: str, **options: Any) -> dict[str, Any]:
    async with api(settings_with(port)) as client:
        return await ask(client, method, f"/api/v1{path}", **options)
