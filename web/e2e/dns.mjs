import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:net";

const types = { A: 1, NS: 2, SOA: 6, TXT: 16 };

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

const wire = (name) =>
  Buffer.concat([
    ...name.split(".").map((label) => Buffer.from(`${String.fromCharCode(label.length)}${label}`)),
    Buffer.alloc(1),
  ]);

function record(owner, type, ttl, rdata) {
  const head = Buffer.alloc(10);
  head.writeUInt16BE(type, 0);
  head.writeUInt16BE(1, 2);
  head.writeUInt32BE(ttl, 4);
  head.writeUInt16BE(rdata.length, 8);
  return Buffer.concat([wire(owner), head, rdata]);
}

/** A primary of one zone, which gives it whole to whoever asks over TCP (RFC 5936). */
export async function primary(zone, serial, hosts) {
  const numbers = Buffer.alloc(20);
  for (const [i, n] of [serial, 3600, 600, 86400, 60].entries()) numbers.writeUInt32BE(n, i * 4);
  const soa = record(zone, types.SOA, 300, Buffer.concat([wire(`ns.${zone}`), wire(`hostmaster.${zone}`), numbers]));
  const whole = [
    soa,
    record(zone, types.NS, 300, wire(`ns.${zone}`)),
    ...Object.entries(hosts).map(([name, address]) => record(`${name}.${zone}`, types.A, 300, data(types.A, address))),
    soa,
  ];
  const server = createServer((socket) => {
    let heard = Buffer.alloc(0);
    socket.on("error", () => undefined);
    socket.on("data", (chunk) => {
      heard = Buffer.concat([heard, chunk]);
      while (heard.length > 2 && heard.length >= 2 + heard.readUInt16BE(0)) {
        const message = heard.subarray(2, 2 + heard.readUInt16BE(0));
        heard = heard.subarray(2 + message.length);
        const { type, end } = question(message);
        const answers = type === types.SOA ? [soa] : whole;
        const head = Buffer.from(message.subarray(0, 12));
        head.writeUInt16BE(0x8400, 2);
        head.writeUInt16BE(1, 4);
        head.writeUInt16BE(answers.length, 6);
        head.writeUInt32BE(0, 8);
        const body = Buffer.concat([head, message.subarray(12, end), ...answers]);
        const length = Buffer.alloc(2);
        length.writeUInt16BE(body.length, 0);
        socket.write(Buffer.concat([length, body]));
      }
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { address: `127.0.0.1:${server.address().port}`, close: () => server.close() };
}
