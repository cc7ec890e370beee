"""What it costs to import the package."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("sqlalchemy", "fastapi", "pydantic_ai", "pydantic", "httpx", "omniforge.core.config")


def loaded_after(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert not loaded_after("import omniforge").intersection(HEAVY)


def test_the_client_is_a_stranger_to_the_server() -> None:
    loaded = loaded_after("from omniforge.client import OmniForgeClient")
    assert not loaded.intersection(("sqlalchemy", "fastapi", "pydantic_ai"))
    rooms = {name.split(".")[1] for name in loaded if name.startswith("omniforge.")}
    assert rooms == {"client", "core"}


def test_names_of_the_front_door_are_found_and_others_are_not() -> None:
    code = "import omniforge; assert {'Agent', 'SkillRef', 'Local', 'OmniForgeClient'} <= set(dir(omniforge))"
    assert not loaded_after(code).intersection(HEAVY)
    code = (
        "import omniforge\ntry: omniforge.Agnet\nexcept AttributeError as error: assert 'Agnet' in str(error)"
    )
    loaded_after(code)
