"""Run in the witnesses' environment: the public client `ika` heats and stirs a hotplate and says, in JSON, what it reads."""

import json
import sys

from ika.magnetic_stirrer import MagneticStirrer

plate = MagneticStirrer(sys.argv[1])
plate.set_target_temperature(80.0)
plate.set_target_stir_rate(300)
plate.start_heating()
plate.start_stirring()
told = {
    "target_temperature": plate.target_temperature(),
    "target_stir_rate": plate.target_stir_rate(),
    "stir_rate": plate.stir_rate(),
    "probe_temperature": plate.probe_temperature(),
    "hotplate_sensor_temperature": plate.hotplate_sensor_temperature(),
}
print(json.dumps(told))
