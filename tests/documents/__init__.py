"""Every page of docs/tutorials and docs/how-to is carried out: one test a page, in a fresh folder, block after block.

What a page may hold:

- ```` ```console ````: a line that begins with `$ ` is a command (a `\\` at its end goes on in the next line). It is run by bash with
  Athanor on the PATH; `cd` and `export` last until the end of the page. The lines below are what a reader sees on the terminal, and
  must be what comes; nothing below, and nothing is compared. A line `...` stands for any lines, `...` in a line for anything in it.
  Process numbers, ports, hashes, run keys and times of day are not compared; the page's folder is shown as `/home/ada`.
- ```` ```python ````: one namespace per page, in the page's folder.
- ```` ```{code-block} LANGUAGE ```` with `:caption: FILE`: the file is written. With `:caption: FILE (change)`, toml alone: its lines
  replace those of the same name in the same table, or are added to it; a `[[table]]` is told by its `name`.
- ```` ```text ````: only shown. Any other language, and an unknown word after `%`, fails.

A MyST comment, which readers do not see, says what is special about the next block:

- `% exit 3`: its last command ends with 3 (else 0).
- `% numbers vary`: what is shown has other numbers on each machine, and columns as wide as these.
- `% background`: its last command is left running; what is shown below it is compared at `% join`.
- `% type: a | 310 | | y`: its command asks; these lines are typed, each where it stands behind its question in what is shown.
- `% output`: on a text block: what the Python block before printed.
- `% skip: REASON`: it cannot be carried out without a person.

or does something by itself:

- `% run: COMMAND`: a command that readers need not see.
- `% quick: FOLDER`: the scaffolded campaign there gets experiments that are short, and proposed without a model.
- `% wait: COMMAND => TEXT`: the command is repeated until its output holds the text; without a command: until what was left
  running says it.
- `% ctrl-c`: the key, for what was left running. `% join` or `% join 3`: wait for its end, with that exit code.
- `% needs: NAME`: the page is skipped where the variable is not in the environment.
"""
