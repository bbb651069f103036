// One LADS device built by node-opcua from the published nodesets: a reactor with all there is, and two units with little.
//
// Its functions live (targets are followed), its programs bring results. How it misbehaves is said on standard input.

import opcua from "node-opcua";

const { DataType, StatusCodes, VariantArrayType } = opcua;

const LADS = "http://opcfoundation.org/UA/LADS/";
const DI = "http://opcfoundation.org/UA/DI/";
const DEVICE_SET = "i=5001";
const AMB = "http://opcfoundation.org/UA/AMB/";
const GERMAN = {
    Stopped: "Gestoppt", Running: "Läuft", Stopping: "Stoppt", Aborting: "Bricht ab", Aborted: "Abgebrochen", Clearing: "Räumt auf",
    Closed: "Geschlossen", Opened: "Offen", Locked: "Verriegelt", Opening: "Öffnet", Closing: "Schließt", Locking: "Verriegelt gerade",
    Unlocking: "Entriegelt", Error: "Fehler",
};
const TICK = 50;
const METHODS = ["StartProgram", "Abort", "Clear", "Stop"].map((name) => `FunctionalUnitState.${name}`);

export const behaviour = { german: false, badFor: 0, replyAfter: 0, program: 600, breakable: true };

const good = (outputArguments = []) => ({ statusCode: StatusCodes.Good, outputArguments });
const refused = (statusCode) => ({ statusCode, outputArguments: [] });

/** A state machine whose text may be translated, and whose state may be unknown for a moment. */
class Machine {
    constructor(node, state) {
        this.node = node;
        this.machine = opcua.promoteToStateMachine(node);
        this.set(state);
    }

    set(state) {
        this.state = state;
        this.machine.setState(state);
        this.show(StatusCodes.Good);
    }

    show(statusCode) {
        const text = behaviour.german ? { locale: "de", text: GERMAN[this.state] } : { locale: "en", text: this.state };
        const id = this.node.currentState.id.readValue().value;
        this.node.currentState.setValueFromSource({ dataType: DataType.LocalizedText, value: text }, statusCode);
        this.node.currentState.id.setValueFromSource(id, statusCode);
    }

    hide(milliseconds) {
        this.show(StatusCodes.BadWaitingForInitialData);
        setTimeout(() => this.show(StatusCodes.Good), milliseconds);
    }
}

const put = (variable, dataType, value, arrayType) => variable.setValueFromSource({ dataType, value, arrayType });
/** Bind a method; node-opcua counts the arguments of what it is given. */
const bind = (method, act) =>
    method.bindMethod(async (values, context) => {
        try {
            return await act(values, context);
        } catch (error) {
            console.error(error);
            throw error;
        }
    });
const number = (variable, value) => put(variable, DataType.Double, value);
const text = (variable, value) => put(variable, DataType.String, value);

/** The lock of a unit, as OPC 10000-100 has it: it belongs to a session, and runs out when nobody renews it. */
class Lock {
    constructor(node) {
        this.node = node;
        this.owner = null;
        this.until = 0;
        const answer = (act) => (_, context) => good([{ dataType: DataType.Int32, value: act(context) }]);
        bind(node.initLock, answer((context) => this.init(context)));
        bind(node.renewLock, answer((context) => (this.isOf(context) ? this.renew() : -1)));
        bind(node.exitLock, answer((context) => (this.isOf(context) ? this.exit() : -1)));
        bind(node.breakLock, () =>
            behaviour.breakable ? good([{ dataType: DataType.Int32, value: this.owner ? this.exit() : -1 }]) : refused(StatusCodes.BadUserAccessDenied));
        this.show();
        setInterval(() => this.owner && Date.now() > this.until && this.exit(), TICK);
        setInterval(() => this.show(), 4 * TICK);
    }

    init(context) {
        if (this.owner && !this.isOf(context)) return -1;
        this.owner = { session: context.session.nodeId.toString(), client: context.session.clientDescription.applicationUri };
        return this.renew();
    }

    renew() {
        this.until = Date.now() + 10_000;
        this.show();
        return 0;
    }

    exit() {
        this.owner = null;
        this.show();
        return 0;
    }

    isOf(context) {
        return this.owner !== null && this.owner.session === context.session.nodeId.toString();
    }

    forbids(context) {
        return this.owner !== null && !this.isOf(context);
    }

    show() {
        put(this.node.locked, DataType.Boolean, this.owner !== null);
        text(this.node.lockingClient, this.owner?.client ?? "");
        text(this.node.lockingUser, this.owner ? "anonymous" : "");
        number(this.node.remainingLockTime, this.owner ? Math.max(this.until - Date.now(), 0) : 0);
    }
}

/** One functional unit: runs one program at a time. */
class Unit {
    constructor(device, name, { optionals, place, lock }) {
        this.device = device;
        this.node = device.type("FunctionalUnitType").instantiate({
            browseName: name, componentOf: device.node.functionalUnitSet, namespace: device.own, optionals,
        });
        this.machine = new Machine(this.node.functionalUnitState, "Stopped");
        this.lock = lock ? new Lock(this.node.getChildByName("Lock")) : null;
        this.manager = this.node.programManager;
        this.templates = new Map(["Rinse", "Characterise"].map((id) => [id, this.template(id)]));
        this.runs = 0;
        this.bind(place);
    }

    template(id) {
        const node = this.device.type("ProgramTemplateType").instantiate({
            browseName: { name: `Template ${id}`, namespaceIndex: this.device.own.index }, componentOf: this.manager.programTemplateSet, namespace: this.device.own,
        });
        this.describe(node, id);
        return node;
    }

    describe(node, id) {
        text(node.deviceTemplateId, id);
        text(node.author, "nobody here");
        text(node.version, "1");
    }

    bind(place) {
        const names = this.node[place].startProgram.inputArguments.readValue().value.value.map((one) => one.name);
        bind(this.node[place].startProgram, async (values, context) => {
            const given = Object.fromEntries(names.map((name, index) => [name, values[index].value]));
            const answer = this.start(given, context);
            if (behaviour.replyAfter) await new Promise((done) => setTimeout(done, behaviour.replyAfter));
            return answer;
        });
        const end = (state, outcome) => (_, context) => {
            if (this.lock?.forbids(context)) return refused(StatusCodes.BadUserAccessDenied);
            if (this.machine.state !== "Running") return refused(StatusCodes.BadInvalidState);
            this.finish(state, outcome);
            return good();
        };
        if (this.node[place].abort) bind(this.node[place].abort, end("Aborted", "aborted"));
        if (this.node[place].stop) bind(this.node[place].stop, end("Stopped", "stopped"));
        if (this.node[place].clear) bind(this.node[place].clear, () => this.clear());
    }

    clear() {
        if (this.machine.state !== "Aborted") return refused(StatusCodes.BadInvalidState);
        this.machine.set("Stopped");
        return good();
    }

    start(given, context) {
        if (this.lock?.forbids(context)) return refused(StatusCodes.BadUserAccessDenied);
        if (this.machine.state !== "Stopped") return refused(StatusCodes.BadInvalidState);
        if (!this.templates.has(given.ProgramTemplateId)) return refused(StatusCodes.BadInvalidArgument);
        this.runs += 1;
        const id = `${given.ProgramTemplateId}-${this.runs}`;
        this.result = this.newResult(id, given);
        put(this.result.started, DataType.DateTime, new Date());
        this.showActive(given.ProgramTemplateId, id);
        this.machine.set("Running");
        if (behaviour.badFor) this.machine.hide(behaviour.badFor);
        this.end = setTimeout(() => this.finish("Stopped", "completed"), behaviour.program);
        console.log(JSON.stringify({ started: given.SupervisoryTaskId, template: given.ProgramTemplateId }));
        return good([{ dataType: DataType.String, value: id }]);
    }

    newResult(id, given) {
        const result = this.device.type("ResultType").instantiate({
            browseName: { name: id, namespaceIndex: this.device.own.index }, componentOf: this.manager.resultSet, namespace: this.device.own,
            optionals: this.manager.activeProgram.deviceProgramRunId ? ["DeviceProgramRunId"] : [],
        });
        text(result.supervisoryJobId, given.SupervisoryJobId);
        text(result.supervisoryTaskId, given.SupervisoryTaskId);
        text(result.applicationUri, "urn:witness");
        this.describe(result.programTemplate, given.ProgramTemplateId);
        put(result.properties, DataType.ExtensionObject, given.Properties ?? [], VariantArrayType.Array);
        put(result.samples, DataType.ExtensionObject, given.Samples ?? [], VariantArrayType.Array);
        if (result.deviceProgramRunId) text(result.deviceProgramRunId, id);
        return result;
    }

    showActive(template, id) {
        const active = this.manager.activeProgram;
        if (active.deviceProgramRunId) text(active.deviceProgramRunId, id);
        if (!active.currentProgramTemplate) return;
        const type = this.device.space.findDataType("NameNodeIdDataType", this.device.space.getNamespaceIndex(AMB));
        const value = this.device.space.constructExtensionObject(type, { name: { text: `Vorlage ${template}` }, nodeId: this.templates.get(template).nodeId });
        put(active.currentProgramTemplate, DataType.ExtensionObject, value);
    }

    finish(state, outcome) {
        clearTimeout(this.end);
        const set = this.result.variableSet;
        const add = (name, dataType, value, more) =>
            this.device.own.addVariable({ componentOf: set, browseName: name, dataType, value: { dataType, ...value }, ...more });
        if (outcome === "completed") {
            this.device.analog(set, "Absorbance", { value: 0.25, unit: opcua.standardUnits.percent, range: [0, 100] });
            add("Spectrum", DataType.Double, { value: Float64Array.from([1, 2, 4]), arrayType: VariantArrayType.Array }, { valueRank: 1 });
        }
        add("Ende", DataType.String, { value: outcome });
        put(this.result.stopped, DataType.DateTime, new Date());
        this.machine.set(state);
    }

    /** Results of long ago; with all members of their type, thousands of them would take node-opcua minutes. */
    old(count) {
        const type = this.device.type("ResultType");
        const variable = (result, name, dataType, value) =>
            this.device.own.addVariable({ propertyOf: result, browseName: { name, namespaceIndex: type.browseName.namespaceIndex }, dataType, value: { dataType, value } });
        for (let index = 0; index < count; index += 1) {
            const result = this.device.own.addObject({ browseName: `old-${index}`, componentOf: this.manager.resultSet, typeDefinition: type });
            variable(result, "SupervisoryTaskId", DataType.String, index % 2 ? `old-${index}` : "");
            variable(result, "Stopped", DataType.DateTime, new Date());
        }
    }
}

/** The device, its units and functions. */
export class Device {
    constructor(space) {
        this.space = space;
        this.own = space.registerNamespace("urn:witness");
        const deviceSet = space.findNode(`ns=${space.getNamespaceIndex(DI)};${DEVICE_SET}`);
        this.node = this.type("LADSDeviceType").instantiate({ browseName: "Witness", componentOf: deviceSet, namespace: this.own });
        put(this.node.manufacturer, DataType.LocalizedText, { text: "Nobody here" });
        put(this.node.model, DataType.LocalizedText, { text: "Witness 1" });
        text(this.node.serialNumber, "W-7");
        text(this.node.softwareRevision, "2.182");
        const active = ["CurrentProgramTemplate", "DeviceProgramRunId"].map((name) => `ProgramManager.ActiveProgram.${name}`);
        this.units = {
            Reactor: new Unit(this, "Reactor", { optionals: ["FunctionSet", "ProgramManager", ...METHODS, ...active], place: "functionalUnitState", lock: true }),
            Bare: new Unit(this, "Bare", { optionals: ["ProgramManager", ...METHODS.slice(0, 2)], place: "functionalUnitState", lock: false }),
            Other: new Unit(this, "Other", { optionals: ["ProgramManager", ...["StartProgram", "Abort", "Clear"].map((name) => `Operational.${name}`)], place: "operational", lock: false }),
        };
    }

    type(name) {
        return this.space.findObjectType(name, this.space.getNamespaceIndex(LADS));
    }

    analog(parent, name, { value, unit, range }) {
        return this.own.addAnalogDataItem({
            componentOf: parent, browseName: name, dataType: "Double", value: { dataType: DataType.Double, value },
            engineeringUnits: unit, engineeringUnitsRange: { low: range[0], high: range[1] },
        });
    }
}

export { Machine, bind, good, number, put, refused, text, TICK };
