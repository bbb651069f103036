from tests.host.harness import Bench, request


def test_a_run_with_every_kind_of_step_is_completed(bench: Bench) -> None:
    bench.start()
    wanted = request(bench)
    bench.submit(wanted)
    report = bench.await_end(wanted["run_key"])
    assert report["status"] == "completed", report
    key = wanted["run_key"]
    assert bench.world.executions() == {f"{name}.{key}": 1 for name in ("pump_a", "pump_b", "platform")}
