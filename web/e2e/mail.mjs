import { once } from "node:events";
import { createServer } from "node:net";
import { createInterface } from "node:readline";

/** Undoes quoted-printable (RFC 2045 section 6.7), as far as ASCII goes. */
function plain(text) {
  return text
    .replace(/=\r?\n/g, "")
    .replace(/=([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)));
}

/**
 * A mail server for the tests (RFC 5321, without extensions). It takes all mail
 * but that to the addresses in `refuse`, and keeps what it got.
 */
export async function mailServer({ refuse = [] } = {}) {
  const mails = [];
  const server = createServer((socket) => {
    let to = [];
    let data = null;
    const say = (line) => socket.write(`${line}\r\n`);
    socket.on("error", () => socket.destroy());
    say("220 e2e");
    createInterface({ input: socket, crlfDelay: Number.POSITIVE_INFINITY }).on("line", (line) => {
      if (data !== null) {
        if (line !== ".") return data.push(line.replace(/^\.\./, "."));
        mails.push({ to, text: plain(data.join("\n")) });
        data = null;
        to = [];
        return say("250 kept");
      }
      const [verb] = line.toUpperCase().split(/[ :]/);
      if (verb === "QUIT") {
        say("221 bye");
        return socket.end();
      }
      if (verb === "DATA") {
        data = [];
        return say("354 go on");
      }
      if (verb === "RCPT") {
        const [, address] = /<([^>]*)>/.exec(line) ?? [];
        if (refuse.includes(address)) return say("550 5.1.1 no such mailbox");
        to.push(address);
      }
      say("250 ok");
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { url: `smtp://127.0.0.1:${server.address().port}`, mails, close: () => server.close() };
}
