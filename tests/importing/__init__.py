"""Files that people could have, each with what must become of it."""
