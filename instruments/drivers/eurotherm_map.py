"""Registers and status bits of the Eurotherm 3200 series that the driver uses, each with who says so.

Parameter addresses by the user guide HA028651, chapter "Digital communications", as these public drivers give them:

    [S] stoner_measurement, instruments/eurotherm       [L] thaeber/eurothermlib, controllers/generic.py
    [M] nupylab, drivers/eurotherm3200 (minimalmodbus)  [Q] QEurotherm (libmodbus)
"""

from typing import Final

PROCESS_VALUE: Final = 1
"""PV.IN; [S] [L] [M] [Q]."""
TARGET: Final = 2
"""TG.SP, the local setpoint that is selected; kept in EEPROM; [S] [M] [Q], "do not write" in [L]."""
MANUAL_OUTPUT: Final = 3
"""MAN.OP; [S] [M] [Q]."""
POWER: Final = 4
"""WRK.OP; [S] [L] [M]."""
WORKING_SETPOINT: Final = 5
"""WKG.SP; [S] [L] [M]."""
SELECTED: Final = 15
"""SP.SEL: 0 = SP1, 1 = SP2; [S] [M] [Q]."""
SAFE_SETPOINT: Final = 24
"""SP1, kept in EEPROM; [S] [M] [Q]."""
SECOND_SETPOINT: Final = 25
"""SP2, kept in EEPROM; [S] [M] [Q]."""
REMOTE_SETPOINT: Final = 26
"""Rm.SP; [S] [L] [M]."""
STATUS: Final = 75
"""StAt, a bitmap; [S] [L]."""
FIRMWARE: Final = 107
"""[S]."""
HIGHEST: Final = 111
"""SP.HI; [S] [Q]."""
LOWEST: Final = 112
"""SP.LO; [S] [Q]."""
TYPE: Final = 122
"""Hexadecimal, "32.." for this series; [S]."""
INSTRUMENT_MODE: Final = 199
"""IM: 0 = operating, 1 = standby, in which all control outputs are off, 2 = configuration; [S] [Q]."""
AUTO_MANUAL: Final = 273
"""A-M: 0 = automatic, 1 = manual; [S] [Q]."""
SOURCE: Final = 276
"""L-R: 0 = local setpoint, 1 = remote setpoint; [S] [L] [M]."""

DECIMALS: Final = 525
"""DEC.P, decimal places of temperatures; a matter of configuration. One source, so that a value that makes no sense proves nothing."""

RETAINED: Final = frozenset({TARGET, SAFE_SETPOINT, SECOND_SETPOINT})
"""What the memory wears by: about 100,000 writes (HA028651 issue 7, page 81: "do not write continuously changing values")."""

FAULTS: Final = {5: "its temperature sensor is broken", 6: "its control loop is broken", 10: "its temperature is over range"}
"""Bits of StAt that forbid heating; [S] [L]."""
REMOTE_FAIL: Final = 14
"""Bit of StAt; [S] [L]."""

OPERATING, STANDBY = 0, 1
"""Of INSTRUMENT_MODE."""
AUTOMATIC, MANUAL = 0, 1
"""Of AUTO_MANUAL."""
LOCAL, REMOTE = 0, 1
"""Of SOURCE."""
