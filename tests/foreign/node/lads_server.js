// Serves the device: `node lads_server.js PORT '{"maxNodes": 25, "old": 4000}'`, until standard input ends.
//
// A line of JSON on standard input changes its behaviour, and is answered by a line.

import { createInterface } from "node:readline";

import opcua from "node-opcua";
import sets from "node-opcua-nodesets";

import { Device, behaviour } from "./lads_device.js";
import { addFunctions } from "./lads_functions.js";

const { nodesets } = sets;
const HOST = "127.0.0.1";
const [port, options] = [Number(process.argv[2]), JSON.parse(process.argv[3] ?? "{}")];
const limit = options.maxNodes ?? 0;
const server = new opcua.OPCUAServer({
    port, host: HOST, hostname: HOST, resourcePath: "/lads",
    nodeset_filename: [nodesets.standard, nodesets.di, nodesets.amb, nodesets.ia, nodesets.machinery, nodesets.lads],
    securityPolicies: [opcua.SecurityPolicy.None],
    securityModes: [opcua.MessageSecurityMode.None],
    serverCapabilities: limit && {
        maxBrowseContinuationPoints: 10,
        operationLimits: {
            maxNodesPerRead: limit, maxNodesPerBrowse: limit, maxNodesPerMethodCall: 1, maxNodesPerWrite: limit, maxNodesPerTranslateBrowsePathsToNodeIds: limit,
        },
    },
});

await server.initialize();
const device = new Device(server.engine.addressSpace);
addFunctions(device, device.units.Reactor);
device.units.Reactor.old(options.old ?? 0);
await server.start();
console.log(JSON.stringify({ url: `opc.tcp://${HOST}:${port}/lads` }));

for await (const line of createInterface({ input: process.stdin })) {
    Object.assign(behaviour, JSON.parse(line));
    for (const one of Object.values(device.units)) one.machine.show(opcua.StatusCodes.Good);
    console.log(JSON.stringify({ done: true }));
}
process.exit(0);
