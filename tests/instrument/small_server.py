"""A small OPC-UA server in a process of its own: `python -m tests.instrument.small_server PORT NAMESPACE...`."""

import asyncio
import sys

from asyncua import ua
from asyncua.server.server import Server
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.status_codes import StatusCodes

ONE, TWO = "urn:test:one", "urn:test:two"
_PUT = {"Label": ObjectIds.String, "Level": ObjectIds.Double}


async def serve(port: int, namespaces: list[str]) -> None:
    """Serve `one:Box` with values, two twins of one name, a method that counts and one that refuses."""
    server = Server()
    await server.init()
    server.set_endpoint(f"opc.tcp://127.0.0.1:{port}/small")
    index = {uri: await server.register_namespace(uri) for uri in namespaces}
    box = await server.nodes.objects.add_object(index[ONE], "Box")
    value = await box.add_variable(index[ONE], "Value", 1.5, ua.VariantType.Float)
    await value.set_writable()
    await box.add_variable(index[ONE], "Twin", 1)
    await box.add_variable(index[TWO], "Twin", 2)
    calls = await box.add_variable(index[ONE], "Calls", 0)
    await box.add_property(index[ONE], "Version", "7")
    inner = await box.add_object(index[ONE], "Inner")
    await box.add_reference(inner, ObjectIds.Organizes)

    async def count(_parent: ua.NodeId) -> list[ua.Variant]:
        await calls.write_value(await calls.read_value() + 1)
        return []

    async def refuse(_parent: ua.NodeId) -> ua.StatusCode:
        return ua.StatusCode(ua.UInt32(StatusCodes.BadInvalidState))

    async def put(_parent: ua.NodeId, label: ua.Variant, level: ua.Variant) -> list[ua.Variant]:
        assert isinstance(label.Value, str)
        await value.write_value(ua.Variant(level.Value, ua.VariantType.Float))
        return []

    text, number = (ua.Argument(Name=name, DataType=ua.NodeId(ua.Int32(kind))) for name, kind in _PUT.items())
    await box.add_method(index[ONE], "Put", put, [text, number], [])
    await box.add_method(index[ONE], "Count", count, [], [])
    await box.add_method(index[ONE], "Refuse", refuse, [], [])
    async with server:
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), sys.argv[2:]))
