"""Two links of a bench file on one wire: each would take the other's replies."""

from pathlib import Path

import pytest

from instruments.bench.file import BenchFile, parse_bench
from instruments.bench.links import refuse_unhonoured
from orchestrator.errors import BadInput

BENCH = Path(__file__).parents[2] / "flows" / "cli" / "scaffold" / "bench.toml"
OVEN, PUMPS, PLATFORM = "/dev/serial/by-id/usb-oven", "/dev/serial/by-id/usb-pumps", "opc.tcp://platform.lab:4840"


def bench(*changes: tuple[str, str]) -> BenchFile:
    text = BENCH.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(f'"{old}"', f'"{new}"')
    return parse_bench(text, BENCH)


def test_the_scaffolded_bench_has_a_wire_for_each_link() -> None:
    refuse_unhonoured(bench())


def test_one_port_by_two_names_is_refused_whether_or_not_it_is_plugged_in(tmp_path: Path) -> None:
    port, link = tmp_path / "ttyUSB0", tmp_path / "usb-oven"
    link.symlink_to(port)  # as udev does below /dev/serial/by-id
    spellings = [str(port), str(link), f"{tmp_path}/./ttyUSB0", f"{tmp_path}//ttyUSB0"]
    for other in spellings:
        for plugged_in in (False, True):
            port.touch() if plugged_in else port.unlink(missing_ok=True)
            with pytest.raises(BadInput) as caught:
                refuse_unhonoured(bench((OVEN, str(link)), (PUMPS, other)))
            said = str(caught.value)
            assert f"links oven ({link}) and pumps ({other}) are one wire, {port}" in said
            assert "\n" not in said


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("opc.tcp://localhost:4840", "opc.tcp://127.0.0.1:4840"),
        ("opc.tcp://localhost:4840/lads/", "OPC.TCP://LOCALHOST:4840/lads"),
        ("opc.tcp://[::1]:4840", "opc.tcp://127.0.0.1:4840"),
        ("opc.tcp://[0:0:0:0:0:0:0:1]:4840", "opc.tcp://localhost.:4840"),
        ("opc.tcp://platform.lab:4840/", "opc.tcp://Platform.lab:4840"),
    ],
)
def test_one_server_by_two_spellings_is_refused(one: str, other: str) -> None:
    second = f'[links.spare]\nkind = "opcua"\nurl = "{other}"\n\n[instruments.oven]'
    text = BENCH.read_text().replace(PLATFORM, one).replace("[instruments.oven]", second)
    with pytest.raises(BadInput, match=r"links platform .* and spare .* are one wire"):
        refuse_unhonoured(parse_bench(text, BENCH))


@pytest.mark.parametrize("other", ["opc.tcp://platform.lab:4841", "opc.tcp://platform2.lab:4840", "opc.tcp://platform.lab:4840/two"])
def test_other_servers_ports_and_paths_are_other_wires(other: str) -> None:
    second = f'[links.spare]\nkind = "opcua"\nurl = "{other}"\n\n[instruments.oven]'
    refuse_unhonoured(parse_bench(BENCH.read_text().replace("[instruments.oven]", second), BENCH))


def test_a_serial_server_is_one_wire_too() -> None:
    with pytest.raises(BadInput, match="are one wire"):
        refuse_unhonoured(bench((OVEN, "socket://localhost:4001"), (PUMPS, "socket://127.0.0.1:4001/")))
