"""Reads dialogues: `== NAME`, `> bytes`, `< bytes`, `<` alone for silence; bytes as printable ASCII or \\xNN."""

import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Dialogue:
    name: str
    exchanges: tuple[tuple[bytes, bytes], ...]


def to_bytes(text: str) -> bytes:
    return re.sub(rb"\\x([0-9a-f]{2})", lambda match: bytes([int(match[1], 16)]), text.strip().encode("ascii"))


def read_dialogues(path: Path) -> list[Dialogue]:
    dialogues: list[Dialogue] = []
    for block in path.read_text().split("\n== ")[1:]:
        lines = [line for line in block.splitlines()[1:] if line and not line.startswith("#")]
        assert all(line[0] == "><"[place % 2] for place, line in enumerate(lines)), block
        pairs = zip(lines[::2], lines[1::2], strict=True)
        dialogues.append(Dialogue(block.splitlines()[0], tuple((to_bytes(sent[1:]), to_bytes(answer[1:])) for sent, answer in pairs)))
    return dialogues
