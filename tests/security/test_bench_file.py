"""What a bench file says of secured links: where secrets are, never which."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from flows.plans.plan import load_plan
from instruments.bench.access import protection_of_links, remarks_on_links, security_of
from instruments.bench.endpoints import at_plant, read_endpoints, secured_links
from instruments.bench.file import BenchFile, load_bench, parse_bench
from instruments.bench.links import refuse_unhonoured
from instruments.lab_processes.bench_copies import keep_copy
from instruments.transport.opcua_security import LinkSecurity
from orchestrator.errors import AccessError, BadInput
from tests.checking.test_broken_files import EXAMPLE, without_prior

FILE = '{ file = "platform.password" }'


def scaffolded(folder: Path, *changes: tuple[str, str]) -> BenchFile:
    for name in ("campaign.toml", "bench.toml"):
        shutil.copy(EXAMPLE / name, folder / name)
    without_prior(folder / "campaign.toml")
    text = (folder / "bench.toml").read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (folder / "bench.toml").write_text(text)
    return load_bench(folder / "bench.toml")


@pytest.mark.parametrize(
    "change",
    [("opc.tcp://platform.lab", "opc.tcp://ada:hunter2@platform.lab"), (FILE, '"hunter2"'), (FILE, '{ word = "hunter2" }')],
    ids=["url", "password", "key"],
)
def test_a_secret_in_a_bench_file_is_refused_and_not_repeated(change: tuple[str, str], tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        refuse_unhonoured(scaffolded(tmp_path, change))
    with pytest.raises(BadInput) as planned:
        load_plan(tmp_path / "campaign.toml")
    assert "hunter2" not in str(caught.value) + str(planned.value)


def test_check_says_how_each_opcua_link_is_secured(tmp_path: Path) -> None:
    bench = scaffolded(tmp_path)
    assert list(protection_of_links(bench)) == ["link platform: signed and enciphered (Basic256Sha256), as user athanor"]
    assert bench.spec.links["platform"].security is not None
    open_to_all = bench.spec.links["platform"].evolve(security=None)
    bare = replace(bench, spec=bench.spec.model_copy(update={"links": {"platform": open_to_all}}))
    assert list(protection_of_links(bare)) == ["link platform: not secured; whoever is on the network can read and send"]


def test_check_says_what_a_live_run_will_lack(tmp_path: Path) -> None:
    bench = scaffolded(tmp_path)
    (line,) = remarks_on_links(bench, tmp_path / "lab")
    assert line == f"link platform: {tmp_path}/platform.password is not there yet; a live run needs it, with mode 0600"
    (tmp_path / "platform.password").touch()
    assert list(remarks_on_links(bench, tmp_path / "lab")) == []
    (line,) = remarks_on_links(scaffolded(tmp_path, (FILE, '{ env = "PLATFORM_PASSWORD" }')), tmp_path / "lab")
    assert "PLATFORM_PASSWORD of this shell alone" in line
    assert "`athanor stop` from another one" in line


def opened(bench: BenchFile) -> LinkSecurity:
    security = security_of(bench, "platform")
    assert security is not None
    assert security.password is not None
    return security


def test_a_labs_copy_finds_the_password_beside_the_file_that_it_was_made_from_also_in_a_moved_folder(tmp_path: Path) -> None:
    home = tmp_path / "home"
    lab = home / ".athanor"
    lab.mkdir(parents=True)
    bench = scaffolded(home).in_lab(lab)
    copy = load_bench(keep_copy(lab, "bench.toml", bench.files, sha256=bench.sha256, origin=bench.folder))
    assert opened(copy.in_lab(lab)).password == opened(bench).password
    again = keep_copy(lab, "bench.toml", copy.files, sha256=copy.sha256, origin=copy.in_lab(lab).folder)
    assert opened(load_bench(again).in_lab(lab)).password == opened(bench).password
    moved = home.rename(tmp_path / "moved") / ".athanor"
    found = opened(load_bench(moved / again.relative_to(lab)).in_lab(moved))
    assert found.password is not None
    assert found.password.file == tmp_path / "moved" / "platform.password"
    assert found.trust.path == moved / "pki"


def test_without_a_lab_no_secured_link_is_opened(tmp_path: Path) -> None:
    with pytest.raises(AccessError, match="needs a lab"):
        security_of(scaffolded(tmp_path), "platform")


def test_a_dry_run_takes_the_plants_security_in_place_of_the_benchs(tmp_path: Path) -> None:
    bench = scaffolded(tmp_path)
    assert secured_links(bench) == {
        "platform": {"policy": "Basic256Sha256", "mode": "SignAndEncrypt", "user": "athanor", "user_certificate": None}
    }
    table = {"policy": "Basic256Sha256", "user": "athanor", "password": {"file": "pki/password"}}
    places = {"pumps": {"port": "/dev/pts/1"}, "oven": {"port": "/dev/pts/2"}, "platform": {"url": "opc.tcp://127.0.0.1:5"}}
    announced = tmp_path / "plant" / "endpoints.json"
    announced.parent.mkdir()
    announced.write_text(json.dumps({"endpoints": {**places, "platform": {**places["platform"], "security": table}}}))
    aimed = at_plant(bench, read_endpoints(announced)).in_lab(tmp_path)
    found = opened(aimed)
    assert found.password is not None
    assert found.password.file == tmp_path / "plant" / "pki" / "password"
    assert aimed.sha256 == bench.sha256
    announced.write_text(json.dumps({"endpoints": places}))
    assert security_of(at_plant(bench, read_endpoints(announced)).in_lab(tmp_path), "platform") is None


def test_a_bench_without_security_is_what_it_was(tmp_path: Path) -> None:
    text = (EXAMPLE / "bench.toml").read_text()
    begin, end = text.index("[links.platform.security]"), text.index("[instruments.oven]")
    bench = parse_bench(text[:begin] + text[end:], EXAMPLE / "bench.toml")
    assert secured_links(bench) == {}
    assert security_of(bench, "platform") is None
    assert list(remarks_on_links(bench, tmp_path / "lab")) == []
