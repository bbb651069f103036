"""An HTML document taken apart by the standard parser."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

from typing_extensions import override

URL_ATTRIBUTES = ("src", "href", "action", "data", "poster", "srcset")
HIDDEN = ("script", "style", "title")


@dataclass
class Document(HTMLParser):
    """Tags with attributes, and the text that a person sees."""

    tags: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    _open: str = ""

    def __post_init__(self) -> None:
        super().__init__()

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        self._open = tag if tag in HIDDEN else self._open

    @override
    def handle_endtag(self, tag: str) -> None:
        self._open = "" if tag == self._open else self._open

    @override
    def handle_data(self, data: str) -> None:
        if not self._open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    @property
    def urls(self) -> list[str]:
        return [value for _, attributes in self.tags for name, value in attributes.items() if name in URL_ATTRIBUTES]

    @property
    def plots(self) -> list[str]:
        return [attributes["id"] for _, attributes in self.tags if "plotly-graph-div" in attributes.get("class", "")]

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)


def parse(html: str) -> Document:
    document = Document()
    document.feed(html)
    document.close()
    return document
