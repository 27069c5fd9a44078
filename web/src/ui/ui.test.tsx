import { screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it, vi } from "vitest";
import { ApiError } from "@/api/client";
import { plan } from "@/test/fixtures";
import { show } from "@/test/render";
import { ConfirmByTyping } from "./ConfirmByTyping";
import { type Column, DataTable, formatSort, parseSort } from "./DataTable";
import { Diff, valueText } from "./Diff";
import { DiffReview } from "./DiffReview";
import { PageState } from "./PageState";
import { Rollout, rolloutState } from "./Rollout";
import { edgeStates } from "./RolloutDetail";

describe("DataTable", () => {
  type Row = { name: string; n: number };
  const rows: Row[] = [
    { name: "b", n: 2 },
    { name: "a", n: 10 },
    { name: "c", n: 1 },
  ];
  const columns: Column<Row>[] = [
    { id: "name", header: "Name", sort: (r) => r.name, cell: (r) => r.name },
    { id: "n", header: "Number", align: "right", sort: (r) => r.n, cell: (r) => r.n },
    { id: "plain", header: "Plain", cell: () => "x" },
  ];
  const first = () =>
    screen
      .getAllByRole("row")
      .slice(1)
      .map((r) => within(r).getAllByRole("cell")[0]?.textContent);

  it("sorts as told and asks for the next order", async () => {
    const onSort = vi.fn();
    show(<DataTable label="T" columns={columns} rows={rows} rowKey={(r) => r.name} sort="-n" onSort={onSort} />);
    expect(first()).toEqual(["a", "b", "c"]);
    expect(screen.getByRole("columnheader", { name: /Number/ }).getAttribute("aria-sort")).toBe("descending");
    await userEvent.click(screen.getByRole("button", { name: /Name/ }));
    expect(onSort).toHaveBeenCalledWith("name");
    expect(within(screen.getByRole("columnheader", { name: "Plain" })).queryByRole("button")).toBeNull();
  });

  it("writes sorting into an address and reads it back", () => {
    for (const sort of ["name", "-n", undefined]) expect(formatSort(parseSort(sort))).toBe(sort);
  });

  it("keeps only what is near the screen of a long list", () => {
    const many = Array.from({ length: 5000 }, (_, n) => ({ name: `row ${n}`, n }));
    show(<DataTable label="T" columns={columns} rows={many} rowKey={(r) => r.name} />);
    expect(screen.getAllByRole("row").length).toBeLessThan(300);
    expect(screen.getByRole("table").getAttribute("aria-rowcount")).toBe("5001");
  });

  it("keeps the unfolded row of a long list in the document", () => {
    const many = Array.from({ length: 2000 }, (_, n) => ({ name: `row ${n}`, n }));
    const unfolded = { key: "row 400", detail: (r: { name: string }) => <p>{`about ${r.name}`}</p> };
    show(<DataTable label="T" columns={columns} rows={many} rowKey={(r) => r.name} unfolded={unfolded} />);
    expect(screen.getByText("about row 400")).toBeTruthy();
    expect(screen.getAllByRole("row").length).toBeLessThan(600);
  });
});

describe("Diff", () => {
  it("draws the rest of a large change when asked", async () => {
    const changes = Array.from({ length: 150 }, (_, n) => ({ op: "create", kind: "rrset", name: `r${n}`, diff: [] }));
    show(<Diff changes={changes} />);
    expect(screen.queryByText("r149")).toBeNull();
    await userEvent.click(screen.getByRole("button", { name: "Show all 150 changes" }));
    expect(screen.getByText("r149")).toBeTruthy();
  });

  it("shows before and after of each pointer, and only what there is", () => {
    show(
      <Diff
        changes={[
          {
            op: "update",
            kind: "cdn",
            name: "shop",
            diff: [
              { pointer: "/origins/0/url", before: "http://a", after: "http://b" },
              { pointer: "/hsts", after: { max_age: 300 } },
            ],
          },
        ]}
      />,
    );
    expect(screen.getByText("/origins/0/url")).toBeTruthy();
    expect(screen.getByText("http://a")).toBeTruthy();
    expect(screen.getByText(/"max_age": 300/)).toBeTruthy();
    expect(screen.getAllByLabelText("before")).toHaveLength(1);
    expect(screen.getAllByLabelText("after")).toHaveLength(2);
  });

  it("tells an empty string from nothing, and false from absence", () => {
    expect(valueText("")).toBe('""');
    expect(valueText(false)).toBe("false");
    expect(valueText(null)).toBe("null");
    expect(valueText(["a", "b"])).toBe('[ "a", "b" ]');
    expect(valueText({ long: "x".repeat(80) })).toContain("\n");
  });
});

describe("DiffReview", () => {
  const apply = () => screen.getByRole("button", { name: "Apply" });

  it("asks once more in production", async () => {
    const onApply = vi.fn();
    show(<DiffReview plan={plan()} environment="production" onApply={onApply} onBack={() => {}} applying={false} />);
    await userEvent.type(screen.getByLabelText("Reason"), "new server");
    await userEvent.click(apply());
    expect(onApply).not.toHaveBeenCalled();
    await userEvent.click(screen.getByRole("button", { name: "Apply to production" }));
    expect(onApply).toHaveBeenCalledExactlyOnceWith("new server");
  });

  it("applies at once elsewhere", async () => {
    const onApply = vi.fn();
    show(<DiffReview plan={plan()} environment="staging" onApply={onApply} onBack={() => {}} applying={false} />);
    await userEvent.click(apply());
    expect(onApply).toHaveBeenCalledOnce();
  });

  it("offers nothing to apply when nothing changes", () => {
    show(
      <DiffReview
        plan={plan({ actions: [] })}
        environment="staging"
        onApply={() => {}}
        onBack={() => {}}
        applying={false}
      />,
    );
    expect(screen.queryByRole("button", { name: "Apply" })).toBeNull();
  });

  it("shows every warning", () => {
    show(
      <DiffReview
        plan={plan({ warnings: ["3 domains use this"] })}
        environment="staging"
        onApply={() => {}}
        onBack={() => {}}
        applying={false}
      />,
    );
    expect(screen.getByText("3 domains use this.")).toBeTruthy();
  });
});

describe("ConfirmByTyping", () => {
  it("lets go only of what was named exactly", async () => {
    const onConfirm = vi.fn();
    show(
      <ConfirmByTyping
        opened
        onClose={() => {}}
        title="Remove"
        name="shop.example.com"
        confirmLabel="Remove domain"
        onConfirm={onConfirm}
        pending={false}
      />,
    );
    const button = screen.getByRole("button", { name: "Remove domain" });
    const field = screen.getByRole("textbox");
    await userEvent.type(field, "shop.example.co{Enter}");
    expect(button).toHaveProperty("disabled", true);
    expect(onConfirm).not.toHaveBeenCalled();
    await userEvent.type(field, "m");
    await userEvent.click(button);
    expect(onConfirm).toHaveBeenCalledOnce();
  });
});

describe("PageState", () => {
  const query = { refetch: vi.fn(), isPending: false, dataUpdatedAt: 0 };
  const failed = new ApiError({
    title: "Not available now",
    status: 503,
    code: "unavailable",
    detail: "The database is away.",
    request_id: "req_9",
  });

  it("shows an error with its way back and its request", async () => {
    const refetch = vi.fn();
    show(
      <PageState query={{ ...query, data: undefined, error: failed, refetch } as never}>{() => <p>rows</p>}</PageState>,
    );
    expect(screen.getByRole("alert").textContent).toContain("The database is away.");
    expect(screen.getByText("req_9")).toBeTruthy();
    await userEvent.click(screen.getByRole("button", { name: "Try again" }));
    expect(refetch).toHaveBeenCalledOnce();
  });

  it("keeps the data when a refetch fails", () => {
    show(<PageState query={{ ...query, data: 1, error: failed } as never}>{() => <p>rows</p>}</PageState>);
    expect(screen.getByText("rows")).toBeTruthy();
    expect(screen.getByText(/The database is away/)).toBeTruthy();
  });
});

describe("Rollout", () => {
  const counts = { edges: 3, pending: 0, applied: 3, verified: 3, rejected: 0 };

  it("is as far as its least advanced edge, and a refusal outweighs all", () => {
    expect(rolloutState(undefined)).toBe("none");
    expect(rolloutState({ ...counts, edges: 0 })).toBe("none");
    expect(rolloutState(counts)).toBe("verified");
    expect(rolloutState({ ...counts, verified: 2 })).toBe("applied");
    expect(rolloutState({ ...counts, verified: 2, pending: 1 })).toBe("pending");
    expect(rolloutState({ ...counts, verified: 2, rejected: 1 })).toBe("rejected");
  });

  it("says it in words", () => {
    show(<Rollout rollout={{ ...counts, verified: 2, rejected: 1 }} />);
    expect(screen.getByText("Refused by 1 of 3")).toBeTruthy();
  });

  it("tells the state of each edge from those that are named and the counts", () => {
    const edges = ["a", "b", "c", "d"].map((id, i) => ({ id, name: `edge ${id}`, region: "fra", revision: i }));
    const states = (over: object) =>
      edgeStates({ documents: 1, ...counts, ...over }, edges).map((e) => `${e.id} ${e.state}`);
    expect(states({})).toEqual(["a verified", "b verified", "c verified"]); // d joined later
    expect(states({ verified: 1 })).toEqual(["a applied", "b applied", "c applied"]);
    expect(
      states({
        verified: 1,
        pending: 1,
        rejected: 1,
        per_edge: [
          { edge: "b", state: "rejected", reason: "no origin" },
          { edge: "c", state: "pending" },
        ],
      }),
    ).toEqual(["a verified", "b rejected", "c pending"]);
    expect(states({ pending: 2, verified: 1, per_edge: [{ edge: "b", state: "pending" }] })).toEqual(["b pending"]);
  });
});
