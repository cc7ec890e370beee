"""import --project P [--spec S] [--dry-run] FILE…: brings a spec into a project, over the HTTP API.

Prints what every ref became. Ends with 0 when it is done, with 1 when it was refused (the problems are
printed, nothing was written), with 2 for a wrong call. Doing it twice changes nothing.
"""

import argparse
import json
import sys
from pathlib import Path

from connection import Refused, Server, Unreachable, add_options
from files import Unreadable, complain, read_all, say, say_problems
from validate import check


def arguments():
    parser = argparse.ArgumentParser(prog="import", description="Bring a spec into a project.")
    parser.add_argument("--project", required=True, help="id or name of the project")
    parser.add_argument("--spec", help="id of the spec; else that of the title, which is made if needed")
    parser.add_argument("--title", help="title of a spec that is made; else as the document says")
    parser.add_argument("--dry-run", action="store_true", help="tell what would be done, and do none of it")
    parser.add_argument("--prune", action="store_true", help="take out of work what the document has no more")
    parser.add_argument("--no-approve", action="store_true", help="leave the approval of the spec to people")
    start = parser.add_mutually_exclusive_group()
    start.add_argument("--start", action="store_true", default=None, help="tickets may start by themselves")
    start.add_argument("--no-start", dest="start", action="store_false", help="tickets wait in the backlog")
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")
    parser.add_argument("files", nargs="+", metavar="FILE", help="a document, or a folder of documents")
    add_options(parser)
    return parser


def main(argv=None):
    given = arguments().parse_args(argv)
    try:
        return bring_in(given, read_all(given.files), Server(given.url, given.key))
    except (Unreadable, Unreachable) as flaw:
        complain(flaw)
        return 2
    except Refused as refusal:
        return tell_refusal(given, refusal)


def bring_in(given, documents, server):
    project_id = server.project_id(given.project)
    title = given.title or title_of(given.files, documents)
    spec_id = given.spec or find_spec(server, project_id, title)
    if spec_id is None and given.dry_run:
        return rehearse_alone(given, title, documents)
    if spec_id is None:
        spec_id = server.call("POST", "specs", body={"project_id": project_id, "title": title})["id"]
    options = {"dry_run": given.dry_run, "prune": given.prune, "approve": not given.no_approve}
    body = {
        "documents": [{"path": path, "content": text} for path, text in documents],
        "options": {**options, "start": given.start},
    }
    tell(given, server.call("POST", "specs", spec_id, "import", body=body))
    return 0


def title_of(names, documents):
    """As the document says, else by the name of its file."""
    said = check(documents)[2].title
    return (said or Path(names[0]).resolve().stem)[:500]


def find_spec(server, project_id, title):
    """The id of the project's spec of this title, if there is one."""
    specs = server.every("specs", "specs", "project", project_id)
    return next((spec["id"] for spec in specs if spec["title"] == title), None)


def rehearse_alone(given, title, documents):
    """The spec is not there yet: everything would be new."""
    problems, warnings, spec = check(documents)
    if problems:
        say_problems(problems, warnings)
        return 1
    items = [("requirement", spec.requirements), ("ticket", spec.tickets), ("task", spec.tasks)]
    made = {
        item.ref: {"id": None, "kind": kind, "ref": None, "action": "created"}
        for kind, found in items
        for item in found
    }
    counts = {"created": len(made), "updated": 0, "unchanged": 0, "skipped": 0, "pruned": 0}
    answer = {"spec_id": None, "dry_run": True, "map": made, "counts": counts, "warnings": warnings}
    if not given.json:
        say(f"The spec {title!r} would be made.")
    tell(given, answer)
    return 0


def tell(given, answer):
    if given.json:
        say(json.dumps(answer, indent=2))
        return
    say_problems([], answer["warnings"])
    for name, each in answer["map"].items():
        became = f"{each['ref'] or '-':<24} {each['id'] or '-'}"
        say(f"{name:<24} {each['kind']:<12} {each['action']:<10} {became}")
    counts = ", ".join(f"{count} {name}" for name, count in answer["counts"].items())
    rehearsal = " (a rehearsal: nothing was written)" if answer["dry_run"] else ""
    say(f"spec {answer['spec_id'] or '-'}: {counts}{rehearsal}")


def tell_refusal(given, refusal):
    details = refusal.body.get("details") or {}
    if given.json:
        say(json.dumps(refusal.body, indent=2))
    elif "problems" in details:
        say_problems(details["problems"], details.get("warnings", []))
        say("Nothing was imported.")
    else:
        say(f"{refusal.body.get('error', refusal.status)}: {refusal}")
        for field in details.get("fields", []):
            say(f"{field['field']}: {field.get('rule') or field.get('allowed')}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
