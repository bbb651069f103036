"""A server of open62541, by its binding `o6`: `python open62541_server.py PORT`.

`Box` is what the profile of `tests/declared/test_nodes.py` declares.
"""

import asyncio
import sys
from typing import Any

import o6
from o6.ns import ns0
from open62541_loop import Loopback

ONE, TWO = "urn:test:one", "urn:test:two"
INVALID_STATE = o6.StatusCode.BAD_INVALID_STATE
GOOD = o6.StatusCode.GOOD
o6.ns.namespace("one", uri=ONE)
o6.ns.namespace("two", uri=TWO)


def argument(name: str, kind: type) -> Any:
    """Declare an argument of a method."""
    made = ns0.datatypes.Argument()
    made.name, made.dataType, made.valueRank = name, o6.NodeId(kind), -1
    return made


def box(server: o6.Server) -> None:
    """Add the box, two twins of one name, a method that counts, one that refuses and one that is told something."""
    server.ns.append(sys.modules[__name__])
    index = o6.ns.one.index
    top = server.addObject("Box", server.objectsNode, ns=index)
    value = server.addVariable("Value", top, o6.Float(1.5), ns=index)
    calls = server.addVariable("Calls", top, o6.Int64(0), ns=index)
    server.addVariable("Version", top, "7", ns=index)
    server.addVariable("Twin", top, o6.Int64(1), ns=index)
    server.addVariable("Twin", top, o6.Int64(2), ns=o6.ns.two.index)

    async def count(_node: Any) -> tuple[Any, ...]:
        await calls(o6.Int64(int(await calls()) + 1))
        return (GOOD,)

    async def put(_node: Any, label: Any, level: Any) -> tuple[Any, ...]:
        assert isinstance(label, str | o6.String)
        await value(o6.Float(float(level)))
        return (GOOD,)

    server.addMethod("Count", top, count, ns=index)
    server.addMethod("Refuse", top, lambda _node: (INVALID_STATE,), ns=index)
    server.addMethod("Put", top, put, inputArgs=[argument("Label", o6.String), argument("Level", o6.Double)], ns=index)


async def serve(server: o6.Server) -> None:
    """Serve until it is ended."""
    server.start()
    await server.waitReady()
    print("ready", flush=True)
    await asyncio.Event().wait()


def main() -> None:
    """Build before the loop runs: what is built then is there at once."""
    loop = Loopback()
    server = o6.Server(port=int(sys.argv[1]), loop=loop)
    box(server)
    loop.run_until_complete(serve(server))


main()
