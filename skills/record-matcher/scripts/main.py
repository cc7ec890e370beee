"""Finds the record whose fields, named in the settings, are those of what was found before."""

from sandbox_kit.comparing import matched, records_for
from sandbox_kit.skill import Refused, run
from sandbox_kit.values import key_of


def main(request):
    config = request.config
    given = config.get("by") or []
    names = given if isinstance(given, list) else [given]
    if not names or not all(isinstance(name, str) and name.strip() for name in names):
        raise Refused(
            "Say what to find the record by: the setting `by` must be a field, or a list of fields."
        )
    records, sought = records_for(request.input, str(config.get("records") or "records"))
    return matched(sought, records, {key_of(name): name for name in names}, str(config.get("missing") or ""))


run(main)
