"""What the files that people write may hold, as JSON Schema (2020-12): for editors, and for the reference."""
