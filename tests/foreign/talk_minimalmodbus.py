"""Run in the witnesses' environment: the public client `minimalmodbus` uses an oven controller and says, in JSON, what it reads.

Function 16 is what it writes with unless told otherwise; registers are those of the user guide HA028651, entered by hand.
"""

import json
import sys
from collections.abc import Callable

import minimalmodbus

oven = minimalmodbus.Instrument(sys.argv[1], 1)
oven.serial.timeout = 0.5  # it waits so long for the rest of a reply that was longer, were it not an exception
PLACES = oven.read_register(525)


def refused(act: Callable[[], object]) -> str:
    """Name the exception that the unit answers with."""
    try:
        act()
    except minimalmodbus.SlaveReportedException as error:
        return str(error)
    return "taken"


told = {
    "decimals": PLACES,
    "process_value": oven.read_register(1, PLACES, signed=True),
    "process_value_by_function_4": oven.read_register(1, PLACES, functioncode=4, signed=True),
    "limits": [oven.read_register(111, PLACES), oven.read_register(112, PLACES)],
    "type": f"{oven.read_register(122):04x}",
    "unit": oven.read_register(131),
    "block": oven.read_registers(1, 5),
}
oven.write_register(24, 30.0, PLACES)
oven.write_register(26, 200.0, PLACES, functioncode=6)
scale = 10**PLACES
oven.write_registers(24, [31 * scale, 32 * scale])
oven.write_register(276, 1)
oven.write_register(273, 0)
told["setpoints"] = [oven.read_register(register, PLACES) for register in (2, 24, 25, 26, 5)]
told["refused"] = {
    "no such register": refused(lambda: oven.read_register(129)),
    "read only": refused(lambda: oven.write_register(1, 0)),
    "one register too many": refused(lambda: oven.write_registers(24, [31 * scale, 32 * scale, 200 * scale, 0])),
    "beyond the limit": refused(lambda: oven.write_register(26, 300 + 1 / scale, PLACES)),
    "by function 6": refused(lambda: oven.write_register(26, 301, PLACES, functioncode=6)),
    "no such function": refused(lambda: oven.read_bit(1, functioncode=1)),
}
oven.write_register(199, 1)
told["standby"] = [oven.read_register(199), oven.read_register(4)]
told["sensor_broken"] = bool(oven.read_register(75) & 1 << 5)
print(json.dumps(told))
