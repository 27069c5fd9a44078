import { createSocket } from "node:dgram";
import { once } from "node:events";

const types = { A: 1, TXT: 16 };

/** Reads the one question of a query (RFC 1035 section 4.1). */
function question(message) {
  const labels = [];
  let at = 12;
  for (let length = message[at]; length > 0; length = message[at]) {
    labels.push(message.subarray(at + 1, at + 1 + length).toString("latin1"));
    at += 1 + length;
  }
  return { name: labels.join(".").toLowerCase(), type: message.readUInt16BE(at + 1), end: at + 5 };
}

function data(type, value) {
  if (type === types.A) return Buffer.from(value.split(".").map(Number));
  return Buffer.concat([Buffer.from([value.length]), Buffer.from(value, "latin1")]);
}

/** A name server for the domains of a test. `set` publishes records as a DNS panel would. */
export async function nameServer() {
  const records = new Map();
  const socket = createSocket("udp4");
  socket.on("message", (message, from) => {
    const { name, type, end } = question(message);
    const values = records.get(`${type} ${name}`) ?? [];
    const exists = [...records.keys()].some((key) => key.endsWith(` ${name}`));
    const head = Buffer.from(message.subarray(0, 12));
    head.writeUInt16BE(0x8580 | (exists ? 0 : 3), 2); // an authoritative answer, NXDOMAIN when there is nothing
    head.writeUInt16BE(1, 4);
    head.writeUInt16BE(values.length, 6);
    head.writeUInt32BE(0, 8);
    const answers = values.map((value) => {
      const rdata = data(type, value);
      const answer = Buffer.alloc(12);
      answer.writeUInt16BE(0xc00c, 0); // the name in the question
      answer.writeUInt16BE(type, 2);
      answer.writeUInt16BE(1, 4);
      answer.writeUInt32BE(1, 6);
      answer.writeUInt16BE(rdata.length, 10);
      return Buffer.concat([answer, rdata]);
    });
    socket.send(Buffer.concat([head, message.subarray(12, end), ...answers]), from.port, from.address);
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  return {
    address: `127.0.0.1:${socket.address().port}`,
    set: (type, name, ...values) => records.set(`${types[type]} ${name}`, values),
    close: () => socket.close(),
  };
}
