import { screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it, vi } from "vitest";
import type { Scope } from "@/app/session";
import { fakeAPI } from "@/test/api";
import { domain, plan, session } from "@/test/fixtures";
import { show } from "@/test/render";
import { AtProvider } from "./components/RemovePanel";
import { type Domain, useRemoveDomain } from "./queries";

const scope = {
  project: session.projects?.[0],
  environment: "production",
  query: { project_id: "prj_1", environment: "production" },
} as unknown as Scope;
const provided = domain({ dns: { ...domain().dns, mode: "provider" } });

function warned(warnings: string[]) {
  return fakeAPI(({ method, query }) =>
    method !== "DELETE" ? undefined : query.get("dry_run") ? { body: plan({ warnings }) } : { status: 204 },
  );
}

describe("what becomes of the records at a DNS provider", () => {
  it("is listed, and may be left", async () => {
    const log = warned([`the record A ${provided.domain} 192.0.2.1 goes, at cf`]);
    const onLeave = vi.fn();
    show(<AtProvider scope={scope} domain={provided} leave={false} onLeave={onLeave} />);
    expect(await screen.findByText(`The record A ${provided.domain} 192.0.2.1 goes, at cf.`)).toBeTruthy();
    expect(screen.getByLabelText("Remove them too")).toHaveProperty("checked", true);
    expect(log[0]?.query.get("dry_run")).toBe("true");
    await userEvent.click(screen.getByLabelText("Leave them there"));
    expect(onLeave).toHaveBeenCalledWith(true);
  });

  it("is nothing to choose when no records were set anywhere", async () => {
    const log = warned([]);
    const { container } = show(<AtProvider scope={scope} domain={provided} leave={false} onLeave={vi.fn()} />);
    expect(screen.getByText(/Asking the DNS provider/)).toBeTruthy();
    await waitFor(() => expect(screen.queryByText(/Asking the DNS provider/)).toBeNull());
    expect(log).toHaveLength(1);
    expect(container.querySelector("input")).toBeNull();
  });

  it.each([
    { leave: false, sent: ["consent", "true"] },
    { leave: true, sent: ["leave_records", "true"] },
  ])("goes along with the removal: $sent", async ({ leave, sent }) => {
    const log = warned([]);
    function Remover({ domain }: { domain: Domain }) {
      const remove = useRemoveDomain(scope);
      return <button type="button" aria-label={domain.domain} onClick={() => remove.mutate({ domain, leave })} />;
    }
    show(<Remover domain={provided} />);
    await userEvent.click(screen.getByLabelText(provided.domain));
    await waitFor(() => expect(log).toHaveLength(1));
    const query = Object.fromEntries(log[0]?.query ?? []);
    expect(query).toEqual({ ...scope.query, [sent[0] as string]: sent[1] });
  });
});
