"""Run in the witnesses' environment: the simulated pump of `labmcp-new-era`, written after the manual V3.923, on a TCP port.

Of its package `labmcp`, which brings a server of another kind with it, the simulator needs the name of a base class alone.
"""

import socket
import sys
import types

STAND_IN = types.ModuleType("labmcp")
STAND_IN.LineSimulator = object  # type: ignore[attr-defined]
sys.modules["labmcp"] = STAND_IN

from labmcp_new_era.simulator import NewEraSimulator  # noqa: E402

pump = NewEraSimulator(speed=float(sys.argv[1]))
with socket.create_server(("127.0.0.1", 0)) as server:
    print(server.getsockname()[1], flush=True)
    connection, _ = server.accept()
    with connection:
        heard = b""
        while data := connection.recv(256):
            *lines, heard = (heard + data).split(b"\r")
            for line in lines:
                if reply := pump.handle(line.decode("latin-1")):
                    connection.sendall(f"{reply}\x03".encode("latin-1"))
