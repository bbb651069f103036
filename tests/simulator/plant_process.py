"""A plant in a process of its own, its back door, and small clients that speak the wires without any driver of ours."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import serial
from asyncua import ua
from asyncua.client.client import Client
from asyncua.common.node import Node
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.uaerrors import UaError

from simulators.modbus_rtu import crc16

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "cdse" / "plant.toml"
START_LIMIT = 60.0
LIVENESS = 15.0
LADS, PLATFORM, DI = "http://opcfoundation.org/UA/LADS/", "urn:athanor:platform", "http://opcfoundation.org/UA/DI/"


def eventually(condition: Callable[[], bool], limit: float = LIVENESS) -> None:
    end = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


@dataclass
class PlantProcess:
    folder: Path
    process: subprocess.Popen[bytes]
    endpoints: dict[str, Any]

    @classmethod
    def start(cls, folder: Path, *, rate: float = 60.0, seed: int = 1, plant: Path = EXAMPLE) -> "PlantProcess":
        process = launch(folder, plant, rate=rate, seed=seed)
        announced = folder / "endpoints.json"
        try:
            eventually(lambda: process.poll() is not None or announced.exists(), START_LIMIT)
            assert process.poll() is None
        except AssertionError:
            process.kill()
            _, errors = process.communicate()
            raise AssertionError(errors.decode()) from None
        return cls(folder, process, json.loads(announced.read_text()))

    def stop(self) -> bytes:
        self.process.terminate()
        _, errors = self.process.communicate(timeout=START_LIMIT)
        return errors

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    @property
    def url(self) -> str:
        return str(self.endpoints["endpoints"]["platform"]["url"])

    def port(self, link: str) -> str:
        return str(self.endpoints["endpoints"][link]["port"])

    def ask(self, request: Mapping[str, object]) -> dict[str, Any]:
        with socket.socket(socket.AF_UNIX) as door, door.makefile("rb") as answers:
            door.settimeout(LIVENESS)
            door.connect(self.endpoints["control"])
            door.sendall(json.dumps(request).encode() + b"\n")
            answer: dict[str, Any] = json.loads(answers.readline())
            return answer

    def inject(self, device: str, fault: str, **more: object) -> None:
        answer = self.ask({"op": "inject", "fault": {"device": device, "fault": fault, **more}})
        assert answer["ok"], answer

    def truth(self, device: str | None = None, event: str | None = None) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in (self.folder / "ground-truth.jsonl").read_text().splitlines()]
        return [line for line in lines if device in (None, line["device"]) and event in (None, line["event"])]


def launch(folder: Path, plant: Path, *, rate: float = 60.0, seed: int = 1) -> subprocess.Popen[bytes]:
    options = {"--plant": plant, "--folder": folder, "--bench-sha256": "ab" * 32, "--seed": seed, "--rate": rate}
    words = [sys.executable, "-m", "simulators.plant", *(str(word) for pair in options.items() for word in pair)]
    root = Path(__file__).parent.parent.parent
    return subprocess.Popen(words, cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=dict(os.environ))


class Wire:
    """A serial port with whole frames in and out."""

    def __init__(self, port: str, *, timeout: float = 1.0) -> None:
        self.serial = serial.Serial(port, 19200, timeout=timeout)

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, *_: object) -> None:
        self.serial.close()

    def pump(self, command: str) -> bytes:
        self.serial.write(command.encode() + b"\r")
        return bytes(self.serial.read_until(b"\x03"))

    def modbus(self, text: str, reply_length: int) -> bytes:
        body = bytes.fromhex(text)
        self.serial.write(body + crc16(body))
        return bytes(self.serial.read(reply_length))


class Platform:
    """An asyncua client that knows LADS by BrowseName."""

    def __init__(self, url: str, application: str = "urn:test:client") -> None:
        self.client = Client(url, timeout=LIVENESS, watchdog_intervall=LIVENESS)  # its second is short on a busy machine
        self.client.application_uri = application

    async def __aenter__(self) -> "Platform":
        await self.client.connect()
        types = await self.client.load_data_type_definitions()
        known = {cls.__name__: cls for cls in ua.extension_objects_by_datatype.values()} | types
        self.key_value, self.sample_info = known["KeyValueType"], known["SampleInfoType"]
        indices = {uri: await self.client.get_namespace_index(uri) for uri in (LADS, PLATFORM, DI)}
        self.lads, self.own, self.di = indices[LADS], indices[PLATFORM], indices[DI]
        self.device = await self.client.nodes.objects.get_child([f"{self.di}:DeviceSet", f"{self.own}:SynthesisPlatform"])
        self.unit = await self.below(self.device, "FunctionalUnitSet", "x:Analyser")
        self.state = await self.below(self.unit, "FunctionalUnitState")
        return self

    async def __aexit__(self, *_: object) -> None:
        with suppress(ConnectionError, UaError, TimeoutError):
            await self.client.disconnect()

    async def below(self, node: Node, *names: str) -> Node:
        path = [f"{self.own}:{name[2:]}" if name.startswith("x:") else f"{self.lads}:{name}" for name in names]
        return await node.get_child(path)

    async def value(self, node: Node, *names: str) -> Any:
        return await (await self.below(node, *names)).read_value()

    async def start(self, task: str, position: str, *, template: str = "Characterise", time: str = "0.1") -> str:
        run_id = await self.state.call_method(
            f"{self.lads}:StartProgram",
            template,
            [self.key_value(Key="integration_time", Value=time)],
            "campaign",
            task,
            [self.sample_info(ContainerId="rack", SampleId="s", Position=position, CustomData="")],
        )
        return str(run_id)

    async def call(self, method: str) -> None:
        await self.state.call_method(f"{self.lads}:{method}")

    async def current_state(self) -> str:
        text = await (await self.state.get_child("0:CurrentState")).read_value()
        return str(text.Text)

    async def result(self, run_id: str) -> Node:
        return await self.below(self.unit, "ProgramManager", "ResultSet", f"x:{run_id}")

    async def outcome(self, run_id: str) -> str:
        return str(await self.value(await self.result(run_id), "VariableSet", "x:Outcome"))

    async def lamp(self, method: str, *arguments: object) -> None:
        lamp = await self.below(self.unit, "FunctionSet", "x:Lamp", "ControlFunctionState")
        await lamp.call_method(f"{self.lads}:{method}", *arguments)

    async def lock(self, method: str, *arguments: object) -> int:
        lock = await self.unit.get_child(f"{self.di}:Lock")
        return int(await lock.call_method(f"{self.di}:{method}", *arguments))

    async def locked(self) -> tuple[bool, str]:
        lock = await self.unit.get_child(f"{self.di}:Lock")
        names = ("Locked", "LockingClient")
        held, client = [await (await lock.get_child(f"{self.di}:{name}")).read_value() for name in names]
        return held, client

    async def started(self) -> datetime:
        time: datetime = await self.client.get_node(ObjectIds.Server_ServerStatus_StartTime).read_value()
        return time
