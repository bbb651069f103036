// A client of node-opcua, with a certificate that node-opcua has made.
// usage: node secured_client.js FOLDER SERVER.der
// Says {"certificate": FILE}; then, for each line {url, policy, mode, user, password}, {"came": STATE of the server | ERROR}.
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import opcua from "node-opcua";

const { AttributeIds, MessageSecurityMode, OPCUACertificateManager, OPCUAClient, SecurityPolicy, UserTokenType } = opcua;
const [folder, server] = process.argv.slice(2);
const URI = "urn:node:client";
const say = (document) => console.log(JSON.stringify(document));

const manager = new OPCUACertificateManager({ rootFolder: folder, automaticallyAcceptUnknownCertificate: false });
await manager.initialize();
const file = `${folder}/own/certs/client.pem`;
await manager.createSelfSignedCertificate({
    applicationUri: URI,
    dns: ["localhost"],
    subject: "/CN=node client",
    startDate: new Date(Date.now() - 3600e3),
    validity: 30,
    outputFile: file,
});
await manager.trustCertificate(readFileSync(server));
say({ certificate: file });

async function attempt({ url, policy, mode, user, password }) {
    const client = OPCUAClient.create({
        applicationUri: URI,
        clientCertificateManager: manager,
        certificateFile: file,
        privateKeyFile: manager.privateKey,
        securityMode: MessageSecurityMode[mode],
        securityPolicy: SecurityPolicy[policy],
        connectionStrategy: { maxRetry: 0 },
        endpointMustExist: false,
    });
    try {
        await client.connect(url);
        const who = user ? { type: UserTokenType.UserName, userName: user, password } : { type: UserTokenType.Anonymous };
        const session = await client.createSession(who);
        const state = await session.read({ nodeId: "ns=0;i=2259", attributeId: AttributeIds.Value });
        await session.close();
        return state.value.value;
    } catch (error) {
        return String(error.message).split("\n")[0];
    } finally {
        await client.disconnect();
    }
}

for await (const line of createInterface({ input: process.stdin })) say({ came: await attempt(JSON.parse(line)) });
process.exit(0);
