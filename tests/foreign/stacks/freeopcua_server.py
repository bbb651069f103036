"""A server of FreeOpcUa's `opcua`: `python freeopcua_server.py PORT`. `Box` is what `tests/declared/test_nodes.py` declares.

It serves plain nodes: its address space is older than the base types that the published nodeset of LADS is made of, and
`import_xml` ends with BadParentNodeIdInvalid.
"""

import sys
import threading
from typing import Any

from opcua import Server, ua

ONE, TWO = "urn:test:one", "urn:test:two"
DOUBLE, INT64 = ua.VariantType.Double, ua.VariantType.Int64


def argument(name: str, kind: int) -> Any:
    """Declare an argument of a method."""
    made = ua.Argument()
    made.Name, made.DataType, made.ValueRank = name, ua.NodeId(kind), -1
    return made


def box(server: Server) -> None:
    """Add the box, two twins of one name, a method that counts, one that refuses and one that is told something."""
    one, two = (server.register_namespace(uri) for uri in (ONE, TWO))
    top = server.get_objects_node().add_object(one, "Box")
    value = top.add_variable(one, "Value", 1.5, ua.VariantType.Float)
    value.set_writable()
    calls = top.add_variable(one, "Calls", 0, INT64)
    top.add_property(one, "Version", "7")
    top.add_variable(one, "Twin", 1, INT64)
    top.add_variable(two, "Twin", 2, INT64)

    def count(_parent: Any) -> list[Any]:
        calls.set_value(calls.get_value() + 1, INT64)
        return []

    def refuse(_parent: Any) -> Any:
        return ua.StatusCode(ua.StatusCodes.BadInvalidState)

    def put(_parent: Any, label: Any, level: Any) -> list[Any]:
        assert isinstance(label.Value, str)
        assert level.VariantType == DOUBLE
        value.set_value(level.Value, ua.VariantType.Float)
        return []

    top.add_method(one, "Count", count, [], [])
    top.add_method(one, "Refuse", refuse, [], [])
    top.add_method(one, "Put", put, [argument("Label", ua.ObjectIds.String), argument("Level", ua.ObjectIds.Double)], [])


def main() -> None:
    """Serve until it is ended."""
    server = Server()
    server.set_endpoint(f"opc.tcp://127.0.0.1:{sys.argv[1]}/box")
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    box(server)
    server.start()
    print("ready", flush=True)
    threading.Event().wait()


main()
