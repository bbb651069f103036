"""A page taken apart into what is to be done, in order."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.colon_fence import colon_fence_plugin
from mdit_py_plugins.front_matter import front_matter_plugin
from mdit_py_plugins.myst_blocks import myst_block_plugin

LANGUAGES: Final = frozenset({"console", "python", "toml", "text", "bash", "json"})
WRITTEN: Final = LANGUAGES - {"console", "text"}
"""What must have a file to be written to, but Python, which is carried out where it has none."""
OF_THE_BLOCK: Final = frozenset({"exit", "numbers", "background", "type", "output", "skip"})
BY_ITSELF: Final = frozenset({"run", "quick", "wait", "ctrl-c", "join", "needs"})
_SHOWN_ONLY: Final = frozenset({"toctree", "figure", "image", "note", "tip", "warning", "important", "seealso"})
_OPTION: Final = re.compile(r":([a-z-]+):\s*(.*)")
_CAPTION: Final = re.compile(r"(?P<file>[\w./-]+)(?P<change> \(change\))?")


class Unclear(Exception):
    """A page says something that nobody could carry out."""


@dataclass(frozen=True)
class Word:
    """A comment that tells what is to be done."""

    line: int
    name: str
    value: str


@dataclass(frozen=True)
class Block:
    """A fenced block."""

    line: int
    language: str
    text: str
    file: str | None = None
    change: bool = False
    words: dict[str, str] = field(default_factory=dict)


def read_page(path: Path) -> list[Word | Block]:
    """Return the words and blocks of a page in order.

    Raises:
        Unclear: An unknown language or word, or a block whose file is not said.
    """
    markdown = MarkdownIt("commonmark").use(front_matter_plugin).use(myst_block_plugin).use(colon_fence_plugin)
    found: list[Word | Block] = []
    pending: dict[str, str] = {}
    for token in markdown.parse(path.read_text()):
        line = (token.map or [0])[0] + 1
        if token.type == "myst_line_comment":
            for offset, content in enumerate(token.content.splitlines()):
                word = _word(line + offset, content)
                if word.name in OF_THE_BLOCK:
                    pending[word.name] = word.value
                else:
                    found.append(word)
        elif token.type in ("fence", "colon_fence"):
            block = _block(line, token, pending)
            if block is not None:
                found.append(block)
                pending = {}
        elif token.type == "code_block":
            raise Unclear(f"line {line}: an indented block has no language; fence it")
    if pending:
        raise Unclear(f"{path.name}: no block follows {', '.join(pending)}")
    return found


def _word(line: int, content: str) -> Word:
    name, _, value = content.strip().partition(" ")
    name = name.rstrip(":")
    if name not in OF_THE_BLOCK | BY_ITSELF:
        raise Unclear(f"line {line}: unknown word {name!r}; known are {', '.join(sorted(OF_THE_BLOCK | BY_ITSELF))}")
    return Word(line, name, value.strip())


def _block(line: int, token: Token, words: dict[str, str]) -> Block | None:
    directive = re.fullmatch(r"\{([\w-]+)\}\s*(.*)", token.info.strip())
    if directive is not None and directive[1] in _SHOWN_ONLY:
        if "```" in token.content:
            raise Unclear(f"line {line}: a block within {directive[1]} is not carried out; put it outside")
        return None
    if directive is not None and directive[1] != "code-block":
        raise Unclear(f"line {line}: unknown directive {directive[1]!r}")
    language = directive[2] if directive else token.info.strip()
    options, text = _options(token.content) if directive else ({}, token.content)
    caption = _CAPTION.fullmatch(options.get("caption", ""))
    block = Block(line, language, text, caption and caption["file"], bool(caption and caption["change"]), words)
    _check(block, options.get("caption"))
    return block


def _options(content: str) -> tuple[dict[str, str], str]:
    options, lines = {}, content.splitlines(keepends=True)
    while lines and (option := _OPTION.fullmatch(lines[0].strip())):
        options[option[1]] = option[2]
        lines.pop(0)
    return options, "".join(lines).lstrip("\n")


def _check(block: Block, caption: str | None) -> None:
    if block.language not in LANGUAGES:
        raise Unclear(f"line {block.line}: unknown language {block.language!r}; known are {', '.join(sorted(LANGUAGES))}")
    if caption and block.file is None:
        raise Unclear(f"line {block.line}: a caption is FILE or FILE (change), not {caption!r}")
    if block.change and block.language != "toml":
        raise Unclear(f"line {block.line}: only toml is changed line by line")
    if block.language in WRITTEN - {"python"} and block.file is None and "skip" not in block.words:
        raise Unclear(f"line {block.line}: say in a caption which file this {block.language} belongs to, or fence it as text")
