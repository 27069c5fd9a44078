import { describe, expect, it } from "vitest";
import { ApiError } from "@/api/client";
import type { RecordSet, Security } from "../zoneQueries";
import { editOf } from "./BulkEdit";
import { securityState } from "./DNSSECTab";
import { findings, toData, toValues } from "./RecordForm";
import { answersOf, matchesRecord, nameOrder, providedFor, readCopy, readDS } from "./records";
import { foundAt, newAnswer, steeringData, steeringFaults, toSteering } from "./steering";

function record(over: Partial<RecordSet> = {}): RecordSet {
  return {
    id: "rrs_1",
    name: "www",
    full_name: "www.example.com",
    zone: "example.com",
    revision: 7,
    type: "A",
    values: ["192.0.2.1"],
    ...over,
  };
}

describe("a set in the form", () => {
  it("comes back as it was, with what the form does not edit", () => {
    const set = record({
      ttl: 60,
      values: ["192.0.2.1", "192.0.2.2"],
      comment: "web",
      tags: { team: "shop" },
      steering: { answers: [{ countries: ["DE"], values: ["192.0.2.9"] }] },
    });
    const { ttl, values, comment, tags, steering } = set;
    expect(toData(toValues(set, null), set, toSteering(set.steering))).toEqual({
      ttl,
      values,
      comment,
      tags,
      steering,
    });
    const led = record({ values: undefined as never, target: { kind: "region", id: "fra" } });
    expect(toData(toValues(led, null), led, toSteering(undefined))).toEqual({ target: { kind: "region", id: "fra" } });
  });

  it("has values when its type leads nowhere of ours", () => {
    const values = { ...toValues(undefined, null), says: "target" as const, type: "MX", values: " 10 mail \n\n" };
    expect(toData(values, undefined, toSteering(undefined))).toEqual({ values: ["10 mail"] });
  });

  it("keeps what was typed for who comes back from the review", () => {
    const draft = { kind: "create" as const, name: "api", type: "TXT", data: { values: ["v=1"], ttl: 30 } };
    expect(toValues(undefined, draft)).toMatchObject({ name: "api", type: "TXT", values: "v=1", ttl: "30" });
  });
});

it("lands the server's findings on the fields, and says which value", () => {
  const error = new ApiError({
    title: "Invalid",
    status: 422,
    code: "invalid",
    errors: [
      { pointer: "/values/1", detail: "no address", fix: "write one" },
      { pointer: "/values/2", detail: "no address" },
      { pointer: "/type", detail: "a CNAME stands alone" },
      { pointer: "/elsewhere", detail: "unknown" },
    ],
  });
  expect(Object.fromEntries(findings(error))).toEqual({
    values: "Line 2: No address. Write one.\nLine 3: No address.",
    type: "A CNAME stands alone.",
  });
  expect(findings(new Error("offline")).size).toBe(0);
});

describe("records", () => {
  it("sorts names as the tree has them, the zone itself first", () => {
    const names = ["www", "a.mail", "@", "mail", "*.mail"];
    expect(names.sort((a, b) => nameOrder(a).localeCompare(nameOrder(b)))[0]).toBe("@");
    expect(nameOrder("a.mail").startsWith(nameOrder("mail"))).toBe(true);
  });

  it("are found by name, value, target and comment", () => {
    const set = record({ comment: "front door", target: { kind: "region", id: "fra" } });
    for (const text of ["WWW", "192.0", "fra", "door", "example.com"]) expect(matchesRecord(set, text)).toBe(true);
    expect(matchesRecord(set, "mail")).toBe(false);
  });

  it("show a steered answer when there is no other", () => {
    const steering = { answers: [{ countries: ["DE"], values: ["192.0.2.9"] }] };
    expect(answersOf({ values: [], steering })).toEqual(["192.0.2.9"]);
  });

  it("know whose set-up keeps them", () => {
    expect(providedFor(record())).toBeUndefined();
    expect(providedFor(record({ tags: { "edgewright.provided_for": "a.example" } }))).toBe("a.example");
  });
});

it("reads the parts of a DS, however its digest is written", () => {
  expect(readDS(" 4711 13 2 49fd 46e6 ")).toEqual({ tag: "4711", algorithm: "13", type: "2", digest: "49FD46E6" });
  expect(readDS("4711 13")).toBeNull();
});

it("tells signing, signed and secure apart", () => {
  const off: Security = {
    enabled: false,
    signed: false,
    secure: false,
    algorithm: "ecdsap256",
    keys: "csk",
    denial: "nsec",
    ds: [],
    parent_ds: [],
    key_list: [],
  };
  const tones = [
    off,
    { ...off, enabled: true },
    { ...off, enabled: true, signed: true },
    { ...off, enabled: true, signed: true, secure: true },
    { ...off, signed: true },
  ].map((s) => securityState(s).tone);
  expect(tones).toEqual(["idle", "info", "warn", "ok", "info"]);
});

describe("steering", () => {
  const steering: NonNullable<RecordSet["steering"]> = {
    answers: [
      { countries: ["DE"], continents: ["EU"], order: 1, weight: 5, check: "web", values: ["192.0.2.9"] },
      { regions: ["fra"], target: { kind: "region", id: "fra" } },
    ],
    checks: { web: { type: "https", port: 8443, path: "/up", host: "a.example", skip_verify: true, fall: 2 } },
  };

  it("comes back from the editor as it was", () => {
    expect(steeringData(toSteering(steering))).toEqual(steering);
    expect(steeringData(toSteering({ policy: "latency" }))).toEqual({ policy: "latency" });
    expect(steeringData(toSteering(undefined))).toBeUndefined();
  });

  it("is not sent with numbers that are none", () => {
    const draft = { ...toSteering(steering), answers: [{ ...newAnswer(), weight: "much" }] };
    expect([...steeringFaults(draft).keys()]).toEqual(["/steering/answers/0/weight"]);
    expect(steeringFaults({ ...draft, policy: "same" }).size).toBe(0);
  });

  it("finds what the server says of a place and below it", () => {
    const error = new ApiError({
      title: "Invalid",
      status: 422,
      code: "invalid",
      errors: [
        { pointer: "/steering/answers/1/countries/0", detail: '"XXX" is no country', fix: "write two letters" },
        { pointer: "/steering/answers/10/values", detail: "the answer is empty" },
      ],
    });
    expect(foundAt(error, "/steering/answers/1")).toBe('"XXX" is no country. Write two letters.');
    expect(foundAt(error, "/steering/answers/0")).toBeUndefined();
  });
});

describe("a bulk edit", () => {
  const wish = { action: "ttl" as const, ttl: "", find: "", by: "", comment: "", consent: false };
  const set = record({ comment: "web", tags: { team: "shop" }, ttl: 60 });

  it("sends sets whole, by their full names, with what is not changed", () => {
    const base = { name: "www.example.com.", type: "A", values: ["192.0.2.1"], tags: { team: "shop" } };
    expect(editOf([set], { ...wish, ttl: "300" })).toEqual({ records: [{ ...base, comment: "web", ttl: 300 }] });
    expect(editOf([set], { ...wish, action: "comment", comment: " new " })).toEqual({
      records: [{ ...base, comment: "new", ttl: 60 }],
    });
    expect(editOf([set], { ...wish, action: "remove", consent: true })).toEqual({
      records: [{ name: "www.example.com.", type: "A", remove: true }],
      consent: true,
    });
  });

  it("replaces text as it stands, and leaves out the sets that have none of it", () => {
    const other = record({ id: "rrs_2", name: "b", full_name: "b.example.com", values: ["198.51.100.1"] });
    const edit = editOf([set, other], { ...wish, action: "replace", find: "192.0.2.", by: "203.0.113." });
    expect(edit.records.map((r) => [r.name, r.values])).toEqual([["www.example.com.", ["203.0.113.1"]]]);
  });
});

describe("the file of a copy", () => {
  it("is read record by record, names as they are in the zone", () => {
    const file = [
      "$ORIGIN example.com.",
      "example.com. 3600 IN SOA ns1.example.com. hostmaster.example.com. 7 3600 600 86400 300",
      "example.com.\t300\tIN\tMX\t10 mail.example.com.",
      "www.example.com.\t60\tIN\tA\t192.0.2.1",
      'txt.www.example.com.\t60\tIN\tTXT\t"a; b" "c  d"',
      "",
    ].join("\n");
    expect(readCopy(file, "example.com").map(({ name, type, ttl, value }) => [name, type, ttl, value])).toEqual([
      ["@", "SOA", 3600, "ns1.example.com. hostmaster.example.com. 7 3600 600 86400 300"],
      ["@", "MX", 300, "10 mail.example.com."],
      ["www", "A", 60, "192.0.2.1"],
      ["txt.www", "TXT", 60, '"a; b" "c  d"'],
    ]);
  });
});
