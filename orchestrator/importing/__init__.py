"""From a file that people have to entries of results: the mapping that says how it is read, its preview, and a proposal of one."""
