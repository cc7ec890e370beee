"""validate FILE…: checks a spec without a server, by the rules of the server.

Ends with 0 when it can be imported, with 1 when not (the problems are printed), with 2 for a wrong call.
"""

import argparse
import json
import sys

from files import Unreadable, complain, read_all, say, say_problems

from omniforge.board.importing.checking import judge
from omniforge.board.importing.sources import read_documents


def check(documents):
    """`(problems, warnings, spec)` as the server would tell them of a spec that holds nothing yet."""
    judged = judge(read_documents(documents))
    problems = [problem.shown() for problem in judged.problems]
    return problems, [problem.shown() for problem in judged.warnings], judged.spec


def main(argv=None):
    parser = argparse.ArgumentParser(prog="validate", description="Check a spec before it is imported.")
    parser.add_argument("files", nargs="+", metavar="FILE", help="a document, or a folder of documents")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    given = parser.parse_args(argv)
    try:
        problems, warnings, spec = check(read_all(given.files))
    except Unreadable as flaw:
        complain(flaw)
        return 2
    if given.json:
        say(json.dumps({"valid": not problems, "problems": problems, "warnings": warnings}, indent=2))
        return 1 if problems else 0
    say_problems(problems, warnings)
    counts = f"{len(spec.requirements)} requirements, {len(spec.tickets)} tickets, {len(spec.tasks)} tasks"
    if problems:
        say(f"{len(problems)} problems; nothing of this can be imported.")
        return 1
    say(f"{counts}; {len(warnings)} warnings. This can be imported.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
