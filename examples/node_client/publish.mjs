// Hand one sample return in, and follow the node until it is seen: made from the .proto files alone.
//
//   node publish.mjs SOCKET USER@PATH USCC AREA [PROTO_FOLDER]
//
// The unit must be registered and the node must know the energy standard. The figures are samples (样例).

import { fileURLToPath } from "node:url";
import grpc from "@grpc/grpc-js";
import loader from "@grpc/proto-loader";

const [socket, actor, uscc, area, protos = fileURLToPath(new URL("../../proto", import.meta.url))] =
  process.argv.slice(2);
const folder = "yidao/api/local/v1";
const definition = loader.loadSync([`${folder}/reporting.proto`, `${folder}/follow.proto`], {
  includeDirs: [protos],
  keepCase: true,
  defaults: true,
  longs: String,
});
const api = grpc.loadPackageDefinition(definition).yidao.api.local.v1;
const address = `unix:${socket}`;
const credentials = grpc.credentials.createInsecure();
const reporting = new api.ReportingService(address, credentials);
const records = new api.FollowService(address, credentials);

const PERIOD = "2025-Q2";
const payload = { uscc, period: PERIOD, floor_area: area, energy_users: 100 };
const row = {
  row: 1,
  form: "profile",
  period: PERIOD,
  payload: Buffer.from(JSON.stringify(payload)),
  key: `node-client-${uscc}-${area}`,
};

reporting.Submit({ pack: "energy", actor, rows: [row] }, (error, answer) => {
  if (error) {
    fail(error);
    return;
  }
  const [result] = answer.results;
  const faults = result.faults.map((fault) => fault.zh);
  console.log(result.outcome, result.repeat ? "repeat" : "first", ...faults);
  if (result.record_id.length === 0) {
    process.exitCode = 1;
    close();
    return;
  }
  follow(result.record_id);
});

function follow(recordId) {
  const stream = records.Follow({ filter: { forms: ["profile"], units: [uscc] } });
  stream.on("data", ({ events }) => {
    const seen = events.find((event) => event.record_id.equals(recordId));
    if (seen) {
      console.log("seen", seen.kind, seen.object, seen.payload.toString());
      stream.cancel();
      close();
    }
  });
  stream.on("error", (error) => {
    if (error.code !== grpc.status.CANCELLED) fail(error);
  });
}

// The node's own error code stands in the status message; `yidao errors CODE` explains it.
function fail(error) {
  console.error(error.details);
  process.exitCode = 1;
  close();
}

function close() {
  reporting.close();
  records.close();
}
