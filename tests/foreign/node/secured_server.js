// A secured server of node-opcua, with a certificate that node-opcua has made.
// usage: node secured_server.js PORT FOLDER CLIENT.der USER PASSWORD
// Says {"ready": URI}, and {"asked": NAME} for each user who wants to be let in. The client's certificate is trusted once
// a line comes on standard input.
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import opcua from "node-opcua";

const { MessageSecurityMode, OPCUACertificateManager, OPCUAServer, SecurityPolicy } = opcua;
const [port, folder, client, user, password] = process.argv.slice(2);
const say = (document) => console.log(JSON.stringify(document));

const manager = new OPCUACertificateManager({ rootFolder: folder, automaticallyAcceptUnknownCertificate: false });
await manager.initialize();
const server = new OPCUAServer({
    host: "127.0.0.1",
    port: Number(port),
    alternateHostname: ["127.0.0.1"],
    resourcePath: "/secured",
    serverInfo: { applicationUri: "urn:node:secured" },
    serverCertificateManager: manager,
    allowAnonymous: false,
    securityModes: [MessageSecurityMode.SignAndEncrypt],
    securityPolicies: [SecurityPolicy.Basic256Sha256, SecurityPolicy.Aes128_Sha256_RsaOaep, SecurityPolicy.Aes256_Sha256_RsaPss],
    userManager: {
        isValidUser: (name, word) => {
            say({ asked: name });
            return name === user && word === password;
        },
    },
});
await server.start();
say({ ready: server.serverInfo.applicationUri });
for await (const line of createInterface({ input: process.stdin })) {
    await manager.trustCertificate(readFileSync(client));
    say({ trusted: line });
}
await server.shutdown();
