"""As a step of an agent: checks a spec that is given as text, and gives it back ready to be imported."""

import json

from validate import check

from omniforge.board.importing.writing import as_json
from sandbox_kit.skill import Refused, run


def main(request):
    documents = documents_of(request.input)
    problems, warnings, spec = check(documents)
    output = {"valid": not problems, "problems": problems, "warnings": warnings}
    if problems:
        first = problems[0]
        about = f"{first['ref']}: " if first["ref"] else ""
        message = f"The spec has {len(problems)} problems; the first: {about}{first['message']}."
        return {"output": output, "message": message, "status": "flag"}
    output["spec"] = json.loads(json.dumps(as_json(spec)))
    counts = f"{len(spec.requirements)} requirements, {len(spec.tickets)} tickets, {len(spec.tasks)} tasks"
    return {"output": output, "message": f"The spec can be imported: {counts}.", "status": "ok"}


def documents_of(given):
    """`document`: a text; `documents`: a list of `path` and `content`."""
    found = given.get("documents")
    if found is None and isinstance(given.get("document"), str):
        found = [{"path": "spec.md", "content": given["document"]}]
    if not isinstance(found, list) or not found:
        raise Refused("Please give the spec as `document`, or several files as `documents`.")
    texts = []
    for each in found:
        if not isinstance(each, dict) or not isinstance(each.get("content"), str):
            raise Refused("Each of `documents` has a path and its content.")
        texts.append((str(each.get("path") or ""), each["content"]))
    return texts


if __name__ == "__main__":
    run(main)
