// A client of a LADS device, made of node-opcua alone: `node lads_client.mjs URL`. What it saw is a JSON object, the last line of stdout.
import { homedir } from "node:os";
import { join } from "node:path";
import {
  AttributeIds,
  BrowseDirection,
  ClientSubscription,
  DataType,
  MessageSecurityMode,
  OPCUACertificateManager,
  OPCUAClient,
  SecurityPolicy,
  TimestampsToReturn,
  VariantArrayType,
  makeBrowsePath,
  resolveNodeId,
} from "node-opcua";

const URIS = {
  di: "http://opcfoundation.org/UA/DI/",
  amb: "http://opcfoundation.org/UA/AMB/",
  lads: "http://opcfoundation.org/UA/LADS/",
  own: "urn:athanor:platform",
};
const UNIT = "di:DeviceSet own:SynthesisPlatform lads:FunctionalUnitSet own:Analyser";

class Client {
  static async connect(url, applicationUri) {
    const client = new Client();
    // node-opcua names itself after its certificate: each client has one of its own
    const name = applicationUri.split(":").at(-1);
    client.opcua = OPCUAClient.create({
      applicationName: name,
      clientCertificateManager: new OPCUACertificateManager({ rootFolder: join(homedir(), name) }),
      applicationUri,
      securityMode: MessageSecurityMode.None,
      securityPolicy: SecurityPolicy.None,
      endpointMustExist: false,
      connectionStrategy: { maxRetry: 1 },
    });
    await client.opcua.connect(url);
    client.session = await client.opcua.createSession();
    const spaces = await client.session.readNamespaceArray();
    client.index = Object.fromEntries(Object.entries(URIS).map(([short, uri]) => [short, spaces.indexOf(uri)]));
    return client;
  }

  async close() {
    await this.session.close();
    await this.opcua.disconnect();
  }

  // "di:DeviceSet own:X Y": names by namespace, Y of the base namespace
  async find(path, start = "ObjectsFolder") {
    const steps = path.split(" ").map((step) => {
      const [space, name] = step.includes(":") ? step.split(":") : ["", step];
      return `/${space ? this.index[space] : 0}:${name}`;
    });
    const found = await this.session.translateBrowsePath(makeBrowsePath(start, steps.join("")));
    if (!found.targets || found.targets.length !== 1) throw new Error(`${path}: ${found.statusCode.toString()}`);
    return found.targets[0].targetId;
  }

  async value(path, start) {
    const read = await this.session.read({ nodeId: await this.find(path, start), attributeId: AttributeIds.Value });
    return plain(read.value.value);
  }

  async typeOf(nodeId) {
    const [result] = await this.session.browse([
      { nodeId, referenceTypeId: "HasTypeDefinition", browseDirection: BrowseDirection.Forward, resultMask: 63 },
    ]);
    return result.references[0].nodeId.toString();
  }

  async children(nodeId) {
    const result = await this.session.browse({
      nodeId,
      referenceTypeId: "HierarchicalReferences",
      includeSubtypes: true,
      browseDirection: BrowseDirection.Forward,
      resultMask: 63,
    });
    return result.references;
  }

  async structure(space, number, values) {
    const type = resolveNodeId(`ns=${this.index[space]};i=${number}`);
    const made = values.map((value) => this.session.constructExtensionObject(type, value));
    return { dataType: DataType.ExtensionObject, arrayType: VariantArrayType.Array, value: await Promise.all(made) };
  }

  async call(object, method, inputArguments = [], space = "lads") {
    const objectId = await this.find(object);
    const methodId = await this.find(`${object} ${space}:${method}`);
    const result = await this.session.call({ objectId, methodId, inputArguments });
    return { status: result.statusCode.name, output: (result.outputArguments ?? []).map((one) => plain(one.value)) };
  }

  // arguments by name, in the order that the server declares
  async start(task, position) {
    const machine = `${UNIT} lads:FunctionalUnitState`;
    const declared = await this.session.getArgumentDefinition(await this.find(`${machine} lads:StartProgram`));
    const text = (value) => ({ dataType: DataType.String, value });
    const given = {
      ProgramTemplateId: text("Characterise"),
      Properties: await this.structure("lads", 3003, [{ key: "integration_time", value: "0.1" }]),
      SupervisoryJobId: text("campaign"),
      SupervisoryTaskId: text(task),
      Samples: await this.structure("lads", 3002, [{ containerId: "rack", sampleId: "s", position, customData: "" }]),
    };
    return this.call(machine, "StartProgram", declared.inputArguments.map((argument) => given[argument.name]));
  }

  lock(method, ...inputArguments) {
    return this.call(`${UNIT} di:Lock`, method, inputArguments, "di");
  }

  state() {
    return this.value(`${UNIT} lads:FunctionalUnitState CurrentState`);
  }

  async until(state) {
    for (let turn = 0; turn < 600; turn++) {
      if ((await this.state()) === state) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`not ${state} in time`);
  }
}

function plain(value) {
  if (value === null || value === undefined || typeof value !== "object") return value ?? null;
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value) || ArrayBuffer.isView(value)) return Array.from(value, plain);
  if (value.constructor.name === "LocalizedText") return value.text;
  if (value.constructor.name === "NodeId") return value.toString();
  if (typeof value.toJSON === "function") return value.toJSON();
  return value;
}

async function watchStates(client, seen) {
  const subscription = ClientSubscription.create(client.session, {
    requestedPublishingInterval: 50,
    requestedLifetimeCount: 100,
    requestedMaxKeepAliveCount: 10,
    maxNotificationsPerPublish: 100,
    publishingEnabled: true,
    priority: 1,
  });
  const nodeId = await client.find(`${UNIT} lads:FunctionalUnitState CurrentState Id`);
  const wanted = { samplingInterval: 0, queueSize: 100, discardOldest: true };
  const item = await subscription.monitor({ nodeId, attributeId: AttributeIds.Value }, wanted, TimestampsToReturn.Both);
  item.on("changed", (value) => seen.push(value.value.value.toString()));
  return subscription;
}

async function identify(client) {
  const device = await client.find("di:DeviceSet own:SynthesisPlatform");
  const plate = {};
  for (const name of ["Manufacturer", "Model", "SerialNumber", "SoftwareRevision", "ProductInstanceUri"]) {
    plate[name] = await client.value(`di:${name}`, device);
  }
  const identification = await client.value("di:Identification di:SerialNumber", device);
  const templates = [];
  for (const one of await client.children(await client.find(`${UNIT} lads:ProgramManager lads:ProgramTemplateSet`))) {
    if (one.nodeClass === 1) templates.push(await client.value("lads:DeviceTemplateId", one.nodeId));
  }
  const state = await client.value("lads:DeviceState CurrentState", device);
  return { plate, identification, templates, state, type: await client.typeOf(device) };
}

async function result(client, run) {
  const top = await client.find(`${UNIT} lads:ProgramManager lads:ResultSet own:${run}`);
  const read = (path) => client.value(path, top);
  const variables = {};
  for (const one of await client.children(await client.find("lads:VariableSet", top))) {
    const content = await client.session.read({ nodeId: one.nodeId, attributeId: AttributeIds.Value });
    const unit = (await client.children(one.nodeId)).find((child) => child.browseName.name === "EngineeringUnits");
    const information = unit && (await client.session.read({ nodeId: unit.nodeId, attributeId: AttributeIds.Value })).value.value;
    const value = plain(content.value.value);
    variables[one.browseName.name] = {
      value: Array.isArray(value) ? value.length : value,
      unit: information ? [information.displayName.text, information.unitId] : null,
    };
  }
  return {
    type: await client.typeOf(top),
    template: await read("lads:ProgramTemplate lads:DeviceTemplateId"),
    task: await read("lads:SupervisoryTaskId"),
    application: await read("lads:ApplicationUri"),
    properties: await read("lads:Properties"),
    samples: await read("lads:Samples"),
    stopped: await read("lads:Stopped"),
    variables,
  };
}

const url = process.argv[2];
const said = { states: [] };
const client = await Client.connect(url, "urn:witness:one");
const other = await Client.connect(url, "urn:witness:two");
try {
  said.index = client.index;
  said.device = await identify(client);
  const subscription = await watchStates(client, said.states);
  said.start = await client.start("foreign 1", "H1");
  said.second = await client.start("foreign 2", "H2");
  said.active = await client.value(`${UNIT} lads:ProgramManager lads:ActiveProgram lads:CurrentProgramTemplate`);
  await client.until("Stopped");
  said.result = await result(client, said.start.output[0]);
  await client.start("foreign 3", "H3");
  said.abort = await client.call(`${UNIT} lads:FunctionalUnitState`, "Abort");
  said.refused = await client.start("foreign 4", "H4");
  said.clear = await client.call(`${UNIT} lads:FunctionalUnitState`, "Clear");
  said.state = await client.state();

  const lamp = `${UNIT} lads:FunctionSet own:Lamp`;
  const on = { dataType: DataType.Boolean, value: true };
  said.lamp = [await client.value(`${lamp} lads:CurrentValue`)];
  said.lampStart = await client.call(`${lamp} lads:ControlFunctionState`, "StartWithTargetValue", [on]);
  said.lamp.push(await client.value(`${lamp} lads:CurrentValue`));
  said.lampStop = await client.call(`${lamp} lads:ControlFunctionState`, "Stop");
  said.lamp.push(await client.value(`${lamp} lads:CurrentValue`));

  const reason = { dataType: DataType.String, value: "a witness" };
  said.lock = await client.lock("InitLock", reason);
  said.lockAgain = await other.lock("InitLock", reason);
  said.locked = [await other.value(`${UNIT} di:Lock di:Locked`), await other.value(`${UNIT} di:Lock di:LockingClient`)];
  said.otherStart = await other.start("foreign 5", "H5");
  const target = { nodeId: await other.find(`${lamp} lads:TargetValue`), attributeId: AttributeIds.Value, value: { value: on } };
  said.otherWrite = (await other.session.write(target)).name;
  said.otherRenew = await other.lock("RenewLock");
  said.otherAbort = await other.call(`${UNIT} lads:FunctionalUnitState`, "Abort");
  said.renew = await client.lock("RenewLock");
  said.exit = await client.lock("ExitLock");
  said.otherLock = await other.lock("InitLock", reason);
  said.breakLock = await client.lock("BreakLock");
  await new Promise((resolve) => setTimeout(resolve, 300));
  await subscription.terminate();
} finally {
  await other.close();
  await client.close();
}
process.stdout.write(`\n${JSON.stringify(said)}\n`);
