"""Reads the fields named in the settings out of a document; what is not there stays empty."""

from sandbox_kit.fields import find_fields, labels_in
from sandbox_kit.forms import extraction
from sandbox_kit.given import document_of
from sandbox_kit.skill import Refused, run
from sandbox_kit.values import key_of


def main(request):
    source = request.config.get("source") or "document"
    if not isinstance(source, str):
        raise Refused("The setting `source` must be the name of an input.")
    document = document_of(request.input, source)
    fields = fields_of(request.config) or labels_in(document)
    found = find_fields(document, fields, about=source, known=known_of(request.config))
    return extraction(found, fields, source.replace("_", " ").capitalize())


def fields_of(config):
    """Key → label of what to look for."""
    given = config.get("fields") or []
    pairs = given.items() if isinstance(given, dict) else [(one, one) for one in listed(given)]
    if not all(isinstance(key, str) and isinstance(label, str) and label.strip() for key, label in pairs):
        raise Refused("The setting `fields` must be a list of texts, or an object of names and labels.")
    return {key_of(key): label for key, label in pairs}


def known_of(config):
    given = config.get("known") or {}
    if not isinstance(given, dict):
        raise Refused("The setting `known` must be an object of fields, each with a list of values.")
    return {key_of(name): [str(value) for value in listed(values)] for name, values in given.items()}


def listed(given):
    return given if isinstance(given, list) else [given]


run(main)
