"""Parts of the reference that are written from the code, each a function that returns Markdown."""
