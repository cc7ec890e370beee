"""`python -m chaos.firing`: fires of schedules and events while the server is killed again and again.

Progress on stderr; the one line of stdout is the outcome: `{"fires", "kills", "lost", "doubled", …}`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import secrets
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from chaos.firing_life import Life, Moment, Size, count_fires, live, prepare
from chaos.firing_verdict import judge
from postgres_server import PostgresServer

STORES = ("sqlite", "postgres")
PATIENCE = 240


def main() -> int:
    parser = argparse.ArgumentParser("firing", description=__doc__)
    parser.add_argument("--agents", type=int, default=12, help="with a schedule of 60 fires each")
    parser.add_argument("--events", type=int, default=200)
    parser.add_argument("--kills", type=int, default=60, help="in each store")
    parser.add_argument("--seconds", type=float, default=90, help="that the schedules' hour takes")
    parser.add_argument(
        "--longest", type=float, default=6, help="seconds after which one that still lives is killed anywhere"
    )
    parser.add_argument("--store", choices=STORES, action="append", help="both when not given")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 30))
    chosen = parser.parse_args()
    size = Size(chosen.agents, chosen.events, chosen.seconds)
    told: Counter[str] = Counter()
    moments: Counter[str] = Counter()
    problems: list[str] = []
    for store in chosen.store or STORES:
        with ExitStack() as stack:
            url, home = _open_store(store, stack)
            chance = random.Random(f"{store} {chosen.seed}")
            moments += storm(url, home, size, chosen.kills, chosen.longest, chance)
            verdict = asyncio.run(judge(url, size))
        told.update(fires=count_fires(size), lost=len(verdict.lost), doubled=len(verdict.doubled))
        problems += [f"{store}: {text}" for text in (*verdict.lost, *verdict.doubled, *verdict.problems)]
    for text in problems[:40]:
        sys.stderr.write(f"{text}\n")
    outcome = {
        "fires": told["fires"],
        "kills": moments.total(),
        "lost": told["lost"],
        "doubled": told["doubled"],
        "problems": len(problems) - told["lost"] - told["doubled"],
        "moments": dict(moments.most_common()),
        "seed": chosen.seed,
    }
    sys.stdout.write(json.dumps(outcome) + "\n")
    return 1 if problems else 0


def _open_store(store: str, stack: ExitStack) -> tuple[str, Path]:
    home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="firing")))
    if store == "sqlite":
        return f"sqlite+aiosqlite:///{home / 'omniforge.db'}", home
    server = PostgresServer.start()
    stack.callback(server.close)
    return server.url(server.create_database()), home


def storm(  # noqa: PLR0917 - where, how large, how hard
    url: str, home: Path, size: Size, kills: int, longest: float, chance: random.Random
) -> Counter[str]:
    """Lives that end before their time, and one that brings everything to its end; what they died of."""
    if _wait(_fork(lambda: prepare(url, home, size)), PATIENCE) != 0:
        raise AssertionError("the agents could not be made")
    begun = time.time()
    died: Counter[str] = Counter()
    deadly = list(Moment)
    chance.shuffle(deadly)
    for number in range(kills):
        moment = deadly[number % len(deadly)]
        life = Life(url, home, size, begun, moment, chance.randrange(1, moment.most_passed + 1), number)
        seconds = chance.uniform(0.2, 1.5) if moment is Moment.FROM_OUTSIDE else longest
        code = _wait(_fork(lambda life=life: live(life)), seconds)
        if code is None:
            died[Moment.FROM_OUTSIDE.value] += 1
        elif code == -signal.SIGKILL:
            died[moment.value] += 1
        elif code != 0:
            raise AssertionError(f"a process ended by itself with {code}, before {moment}")
        sys.stderr.write(f"\r{url.partition(':')[0]} {number + 1}/{kills} {moment:30}")
    sys.stderr.write("\n")
    if _wait(_fork(lambda: live(Life(url, home, size, begun, None, 0, kills))), PATIENCE) != 0:
        raise AssertionError("what was left did not come to its end")
    return died


def _fork(work: Callable[[], Coroutine[Any, Any, None]]) -> int:
    """A process that does this; everything is imported already."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.dup2(2, 1)
        asyncio.run(work())
        code = 0
    except BaseException:  # noqa: BLE001 - the path of a child ends here
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _wait(pid: int, seconds: float) -> int | None:
    """The exit code, negative for a signal; None when it had to be killed."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None


if __name__ == "__main__":
    sys.exit(main())
