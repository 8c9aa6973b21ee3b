"""Leave out what costs a second to import and is never used."""

from __future__ import annotations

import sys


def skip_slow_imports() -> None:
    """Call before the first import of nbformat or nbgrader.

    jsonschema compiles a grammar for internationalised web addresses as it is imported, in 0.8 s,
    if the package for it is there; no schema of a notebook has such an address.
    """
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
