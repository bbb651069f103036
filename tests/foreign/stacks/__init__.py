"""Scripts for OPC-UA stacks that nobody here wrote; each runs in the witnesses' environment, `.venv-foreign`."""
