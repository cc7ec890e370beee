"""The SKILL.md model: `load` any bytes, `validate` against a profile, `render`, `export`. Pure."""

from omniforge.skills.document.exporting import SKILL_FILE, Exported, ExportForm, export, portable_name
from omniforge.skills.document.front_matter import Value
from omniforge.skills.document.profiles import NAME, Profile, is_valid, validate
from omniforge.skills.document.reading import MAX_BYTES, Diagnostic, Document, Reason, Severity, load
from omniforge.skills.document.writing import render

__all__ = [
    "MAX_BYTES",
    "NAME",
    "SKILL_FILE",
    "Diagnostic",
    "Document",
    "ExportForm",
    "Exported",
    "Profile",
    "Reason",
    "Severity",
    "Value",
    "export",
    "is_valid",
    "load",
    "portable_name",
    "render",
    "validate",
]
