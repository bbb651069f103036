"""Run in the witnesses' environment: the public client `nesp-lib` doses with a pump and says, in JSON, what it reads.

Its constructor sends `SAF0` in a safe packet, whatever mode the pump is in, and waits without end for the reply.
"""

import json
import sys
import time

from nesp_lib import Port, Pump, PumpingDirection, StateException

with Port(sys.argv[1]) as port:
    pump = Pump(port, address=int(sys.argv[2]), model_number=1000, safe_mode_timeout_s=int(sys.argv[3]))
    told = {"model": pump.model_number, "firmware": list(pump.firmware_version), "safe_mode_s": pump.safe_mode_timeout_s}
    pump.syringe_diameter_mm = 14.43
    pump.pumping_direction = PumpingDirection.INFUSE
    pump.pumping_volume_ml = 1.25
    pump.pumping_rate_ml_per_min = 5.0
    told["diameter"], told["volume"], told["rate"] = pump.syringe_diameter_mm, pump.pumping_volume_ml, pump.pumping_rate_ml_per_min
    pump.volume_infused_clear()
    pump.run()
    told["dispensed"] = pump.volume_infused_ml
    pump.pumping_volume_ml = 20.0
    pump.pumping_rate_ml_per_min = 0.12
    told["slow_rate"] = pump.pumping_rate_ml_per_min
    pump.run(wait_while_running=False)
    time.sleep(0.2)
    try:
        pump.syringe_diameter_mm = 20.0
    except StateException:
        told["refused"] = True
    told["running"] = pump.running
    pump.stop()
    pump.stop()
    told["status"] = pump.status.name
    told["dispensed_in_all"] = pump.volume_infused_ml
    try:
        pump.pumping_rate_ml_per_min = 8.35
    except ValueError:
        told["too_fast"] = True
    pump.safe_mode_timeout_s = 0
    told["back_in_basic_mode"] = pump.status.name
print(json.dumps(told))
