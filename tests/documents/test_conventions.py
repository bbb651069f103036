"""What pages may say is read as their writers mean it, and what does not agree is seen."""

from pathlib import Path

import pytest

from tests.documents.editing import changed
from tests.documents.matching import mismatch
from tests.documents.reading import Block, Unclear, Word, read_page
from tests.documents.terminal import commands

FOLDER = Path("/tmp/x")
FILE = """# A campaign

[campaign]
name = "a"   # told apart
budget = 24

[[parameters]]
name = "T"
max = 280

# [[hazards]]
# name = "hot"
"""


@pytest.mark.parametrize(
    ("shown", "came"),
    [
        ("one\n...\nthree", "one\ntwo\nand a half\nthree\n"),
        ("one\n...\nthree", "one\nthree\n"),
        ("about ... h", "about 4.5 h\n"),
        ("lab /home/ada/lab", f"lab {FOLDER}/lab\n"),
        ("pid 12, port 127.0.0.1:28213", "pid 4711, port 127.0.0.1:1\n"),
        ("run 01a2271b-6bd9-7000-a4c9-047f2bf6d0cb", "run 01a2271b-7b16-7000-a724-bb7b15c79595\n"),
    ],
)
def test_what_is_never_the_same_and_what_is_left_out_is_not_compared(shown: str, came: str) -> None:
    assert mismatch(shown, came, FOLDER) is None


@pytest.mark.parametrize(
    ("shown", "came"),
    [("one", "one\ntwo"), ("one\ntwo", "one"), ("one\n...\nthree", "one\ntwo"), ("about ... h", "about 4.5 s"), ("best 0.5", "best 0.6")],
)
def test_anything_else_that_differs_is_seen(shown: str, came: str) -> None:
    assert mismatch(shown, came, FOLDER) is not None


def test_numbers_vary_where_a_page_says_so() -> None:
    assert mismatch("│ best │ 0.5428 │", "│ best │ 0.6   │", FOLDER, numbers_vary=True) is None
    assert mismatch("│ best │ 0.5428 │", "│ worst │ 0.6   │", FOLDER, numbers_vary=True) is not None


def test_lines_of_toml_replace_those_of_their_name_and_are_added_elsewhere() -> None:
    after = changed(
        FILE, '[campaign]\nbudget = 4\nbatch = 2\n\n[[parameters]]\nname = "T"\nmax = 250\n\n[[parameters]]\nname = "tau"\nmax = 9\n'
    )
    assert after.splitlines()[2:6] == ["[campaign]", 'name = "a"   # told apart', "budget = 4", "batch = 2"]
    assert "max = 250" in after
    assert "max = 280" not in after
    assert after.endswith('[[parameters]]\nname = "tau"\nmax = 9\n')
    assert '# [[hazards]]\n# name = "hot"\n' in after


def test_a_console_block_is_commands_and_what_they_say() -> None:
    first, second = commands("$ a \\\n  --b\nsaid\n$ c\n")
    assert (first.words, first.shown) == ("a \\\n  --b", "said\n")
    assert (second.words, second.shown) == ("c", "")


def test_a_page_is_words_and_blocks_in_order(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# P\n\n% run: x\n% exit 3\n```console\n$ a\n```\n\n```{code-block} toml\n:caption: a/b.toml (change)\n\nx = 1\n```\n")
    assert read_page(page) == [
        Word(3, "run", "x"),
        Block(5, "console", "$ a\n", words={"exit": "3"}),
        Block(9, "toml", "x = 1\n", "a/b.toml", change=True),
    ]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("```fortran\nx\n```", "unknown language 'fortran'"),
        ("```\nx\n```", "unknown language ''"),
        ("% exits 3\n```console\n$ a\n```", "unknown word 'exits'"),
        ("```toml\nx = 1\n```", "which file"),
        ("% exit 3\n", "no block follows exit"),
        ("text\n\n    indented\n", "fence it"),
        ("```{code-block} toml\n:caption: so to speak\nx = 1\n```", "a caption is FILE"),
        ("````{note}\n```console\n$ a\n```\n````", "put it outside"),
    ],
)
def test_a_page_that_nobody_could_carry_out_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(text)
    with pytest.raises(Unclear, match=complaint):
        read_page(page)
