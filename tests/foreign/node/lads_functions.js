// The functions of the reactor: one of each kind that LADS has.

import opcua from "node-opcua";

import { Machine, TICK, bind, good, number, put, refused } from "./lads_device.js";

const { DataType, StatusCodes, VariantArrayType } = opcua;

const CONTROLS = ["Start", "StartWithTargetValue", "Stop"].map((name) => `ControlFunctionState.${name}`);
const ML_PER_MIN = opcua.makeEUInformation("41", "mL/min", "millilitre per minute");
const ML = opcua.makeEUInformation("MLT", "mL", "millilitre");

function instantiate(device, set, type, name, optionals = []) {
    return device.type(type).instantiate({ browseName: name, componentOf: set, namespace: device.own, optionals });
}

function units(variable, unit, low, high) {
    variable.engineeringUnits.setValueFromSource({ dataType: DataType.ExtensionObject, value: unit });
    variable.euRange.setValueFromSource({ dataType: DataType.ExtensionObject, value: new opcua.Range({ low, high }) });
}

const writable = (variable) => {
    variable.accessLevel = variable.userAccessLevel = opcua.makeAccessLevelFlag("CurrentRead | CurrentWrite");
};

/** Let a control function be started and stopped; `follow` is what it does while it runs. */
function control(unit, node, dataType, follow) {
    const machine = new Machine(node.controlFunctionState, "Stopped");
    const allowed = (context) => !unit.lock.forbids(context);
    bind(node.controlFunctionState.start, (_, context) => {
        if (!allowed(context)) return refused(StatusCodes.BadUserAccessDenied);
        machine.set("Running");
        return good();
    });
    bind(node.controlFunctionState.startWithTargetValue, ([target], context) => {
        if (!allowed(context)) return refused(StatusCodes.BadUserAccessDenied);
        if (machine.state === "Running") return refused(StatusCodes.BadInvalidState);
        put(node.targetValue, dataType, target.value);
        machine.set("Running");
        return good();
    });
    bind(node.controlFunctionState.stop, () => {
        if (machine.state !== "Running") return refused(StatusCodes.BadInvalidState);
        machine.set("Stopped");
        return good();
    });
    writable(node.targetValue);
    setInterval(() => machine.state === "Running" && follow(), TICK);
    return machine;
}

function analog(device, unit, set, type, name, { eu, range, optionals = [], each = () => {} }) {
    const node = instantiate(device, set, type, name, [...CONTROLS, ...optionals]);
    for (const variable of [node.targetValue, node.currentValue]) {
        number(variable, 0);
        units(variable, eu, ...range);
    }
    const value = (variable) => variable.readValue().value.value;
    control(unit, node, DataType.Double, () => {
        number(node.currentValue, value(node.targetValue));
        each(node, value(node.currentValue));
    });
    return node;
}

function discrete(device, unit, set, type, name, dataType, start) {
    const node = instantiate(device, set, type, name, CONTROLS);
    for (const variable of [node.targetValue, node.currentValue]) put(variable, dataType, start);
    control(unit, node, dataType, () => put(node.currentValue, dataType, node.targetValue.readValue().value.value));
    return node;
}

function states(variable, names) {
    const value = names.map((name) => ({ locale: "de", text: name }));
    variable.enumStrings.setValueFromSource({ dataType: DataType.LocalizedText, arrayType: VariantArrayType.Array, value });
}

function lid(device, set) {
    const node = instantiate(device, set, "CoverFunctionType", "Lid", ["Open", "Close", "Lock", "Unlock"].map((name) => `CoverState.${name}`));
    const machine = new Machine(node.coverState, "Closed");
    const move = (from, over, to) => () => {
        if (machine.state !== from) return refused(StatusCodes.BadInvalidState);
        machine.set(over);
        setTimeout(() => machine.set(to), 4 * TICK);
        return good();
    };
    bind(node.coverState.open, move("Closed", "Opening", "Opened"));
    bind(node.coverState.close, move("Opened", "Closing", "Closed"));
    bind(node.coverState.lock, move("Closed", "Locking", "Locked"));
    bind(node.coverState.unlock, move("Locked", "Unlocking", "Closed"));
}

function sensors(device, set) {
    const pressure = instantiate(device, set, "AnalogScalarSensorFunctionType", "Pressure");
    number(pressure.sensorValue, 1.5);
    units(pressure.sensorValue, opcua.standardUnits.bar, 0, 10);
    const spectrum = instantiate(device, set, "AnalogArraySensorFunctionType", "Spectrum");
    put(spectrum.sensorValue, DataType.Double, Float64Array.from([0.5, 1, 0.25]), VariantArrayType.Array);
    units(spectrum.sensorValue, opcua.standardUnits.volt, 0, 5);
    const door = instantiate(device, set, "TwoStateDiscreteSensorFunctionType", "Door");
    put(door.sensorValue, DataType.Boolean, true);
    const rack = instantiate(device, set, "MultiStateDiscreteSensorFunctionType", "Rack");
    put(rack.sensorValue, DataType.UInt32, 1);
    states(rack.sensorValue, ["leer", "voll"]);
}

export function addFunctions(device, unit) {
    const set = unit.node.functionSet;
    const jacket = analog(device, unit, set, "AnalogControlFunctionType", "Jacket", {
        eu: opcua.standardUnits.degree_celsius, range: [0, 150], optionals: ["FunctionSet"],
    });
    const inlet = instantiate(device, jacket.functionSet, "AnalogScalarSensorFunctionType", "Inlet");
    number(inlet.sensorValue, 19.5);
    units(inlet.sensorValue, opcua.standardUnits.degree_celsius, -50, 200);
    let total = 0;
    const pump = analog(device, unit, set, "AnalogControlFunctionWithTotalizerType", "Pump", {
        eu: ML_PER_MIN, range: [0, 10], optionals: ["ResetTotalizer", "ResetTotalizer.InputArguments"],
        each: (node, flow) => number(node.totalizedValue, (total += (flow * TICK) / 60_000)),
    });
    number(pump.totalizedValue, 0);
    units(pump.totalizedValue, ML, 0, 1e6);
    bind(pump.resetTotalizer, () => {
        total = 0;
        number(pump.totalizedValue, 0);
        return good();
    });
    discrete(device, unit, set, "TwoStateDiscreteControlFunctionType", "Lamp", DataType.Boolean, false);
    const valve = discrete(device, unit, set, "MultiStateDiscreteControlFunctionType", "Valve", DataType.UInt32, 0);
    for (const variable of [valve.targetValue, valve.currentValue]) states(variable, ["Zu", "Abfall", "Produkt"]);
    timer(device, unit, set);
    drive(device, unit, set);
    detector(device, set);
    lid(device, set);
    sensors(device, set);
}

function timer(device, unit, set) {
    const node = instantiate(device, set, "TimerControlFunctionType", "Hold", [...CONTROLS, "TargetValue", "CurrentValue"]);
    for (const variable of [node.targetValue, node.currentValue]) number(variable, 0);
    control(unit, node, DataType.Double, () => number(node.currentValue, node.currentValue.readValue().value.value + TICK));
}

const MODES = { Speed: [opcua.standardUnits.percent, 100], Flow: [ML_PER_MIN, 20] };

/** A pump that is told its speed or its flow; it follows the target of the mode in force alone. */
function drive(device, unit, set) {
    const node = instantiate(device, set, "MultiModeAnalogControlFunctionType", "Drive", ["Start", "Stop"].map((name) => `ControlFunctionState.${name}`));
    const modes = Object.entries(MODES).map(([name, [eu, high]]) => {
        const mode = device.type("ControllerParameterType").instantiate({
            browseName: { name, namespaceIndex: device.own.index }, componentOf: node.controllerModeSet, namespace: device.own,
        });
        for (const variable of [mode.targetValue, mode.currentValue]) {
            number(variable, 0);
            units(variable, eu, 0, high);
        }
        writable(mode.targetValue);
        return mode;
    });
    put(node.currentMode, DataType.UInt32, 0);
    states(node.currentMode, Object.keys(MODES));
    writable(node.currentMode);
    const machine = new Machine(node.controlFunctionState, "Stopped");
    const move = (from, to) => (_, context) => {
        if (machine.state !== from || unit.lock.forbids(context)) return refused(StatusCodes.BadInvalidState);
        machine.set(to);
        return good();
    };
    bind(node.controlFunctionState.start, move("Stopped", "Running"));
    bind(node.controlFunctionState.stop, move("Running", "Stopped"));
    setInterval(() => {
        const chosen = modes[node.currentMode.readValue().value.value];
        const running = machine.state === "Running";
        for (const mode of modes) number(mode.currentValue, running && mode === chosen ? mode.targetValue.readValue().value.value : 0);
    }, TICK);
}

/** Two wavelengths of one detector. */
function detector(device, set) {
    const node = instantiate(device, set, "MultiSensorFunctionType", "Detector");
    for (const [name, value] of [["Signal254", 0.125], ["Signal280", 0.5]]) {
        const sensor = instantiate(device, node.functionSet, "AnalogScalarSensorFunctionType", name);
        number(sensor.sensorValue, value);
        units(sensor.sensorValue, opcua.standardUnits.volt, 0, 5);
    }
}
