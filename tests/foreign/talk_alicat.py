"""Run in the witnesses' environment: the public client `alicat` sets a flow and says, in JSON, what it reads."""

import asyncio
import json
import sys

from alicat import FlowController


async def talk(place: str, flow: float) -> None:
    """Set a flow and print the whole state."""
    async with FlowController(address=place, unit="A") as controller:
        await controller.set_flow_rate(flow)
        print(json.dumps({**await controller.get(), "firmware": await controller.get_firmware()}, default=str))


asyncio.run(talk(sys.argv[1], float(sys.argv[2])))
