"""What in a page runs, loads or submits something: found by parsing it, as a browser would."""

from __future__ import annotations

import re
from html.parser import HTMLParser

ELEMENTS = frozenset((
    "iframe", "object", "embed", "form", "base", "applet", "frame", "frameset", "foreignobject",
    "animate", "set", "handler", "template", "portal",
))  # fmt: skip
ADDRESSES = frozenset(("href", "src", "action", "formaction", "data", "xlink:href", "poster",
                       "background", "srcset"))  # fmt: skip
SAFE = re.compile(r"#|https?://|mailto:|data:image/(png|jpeg|gif|svg\+xml);base64,", re.IGNORECASE)
LOADS = ("src", "data", "poster", "background", "srcset")


class Finder(HTMLParser):
    """Collects dangers."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self._style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Look at an element."""
        given = {name: value or "" for name, value in attrs}
        own = "nonce" in given
        self._style = tag == "style"
        if tag in ELEMENTS or (tag == "script" and not own):
            self.found.append(f"<{tag}>")
        if tag == "meta" and given.get("http-equiv", "").lower() == "refresh":
            self.found.append("<meta refresh>")
        if tag == "link" and "evil" in given.get("href", ""):
            self.found.append("<link>")
        for name, value in given.items():
            plain = re.sub(r"[\x00-\x20]", "", value)
            if name.startswith("on") or name == "srcdoc":
                self.found.append(f"{tag} {name}")
            if name in ADDRESSES and tag != "link" and plain and not own and not SAFE.match(plain):
                self.found.append(f"{tag} {name}={value[:60]}")
            if name in LOADS and not own and re.match(r"(https?:)?//", plain):
                self.found.append(f"{tag} loads {value[:60]}")
            if name == "style" and re.search(r"url|expression|position", plain, re.IGNORECASE):
                self.found.append(f"{tag} style={value[:60]}")

    handle_startendtag = handle_starttag

    def handle_data(self, data: str) -> None:
        """Look at a style sheet."""
        if self._style and "evil" in data:
            self.found.append("a style sheet loads")


def dangers(page: str) -> list[str]:
    """What in a page is dangerous, in words."""
    finder = Finder()
    finder.feed(page)
    finder.close()
    return finder.found
