import { act, screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { fakeAPI } from "@/test/api";
import { session } from "@/test/fixtures";
import { open } from "@/test/render";

// Compiled before the clock of a test runs.
import "@/features/edges/EdgesPage";
import "@/features/settings/SettingsPage";

const P = "/api/v1/infrastructure";

function frame(over: Partial<typeof session> = {}) {
  return fakeAPI(({ path }) => {
    if (path === "/api/v1/session") return { body: { ...session, ...over } };
    if (path === `${P}/edges`) return { body: { edges: [], next_cursor: "" } };
    if (path === `${P}/domains`) return { body: { domains: [], next_cursor: "" } };
    if (path === "/api/v1/projects") return { body: { projects: [], next_cursor: "" } };
    return undefined;
  });
}

describe("a viewer", () => {
  const viewer = { principal: { ...session.principal, platform_role: "" } };

  it("is told so on every screen", async () => {
    frame(viewer);
    open("/settings?tab=about&project=blog");
    expect(await screen.findByText(/^You are a viewer of Blog/)).toBeTruthy();
  });

  it("is not offered what is refused", async () => {
    const log = frame(viewer);
    open("/settings?tab=tokens&project=blog");
    expect(await screen.findByText("Not open to viewers")).toBeTruthy();
    expect(log.filter((a) => a.path.endsWith("/tokens"))).toEqual([]);
    await userEvent.keyboard("{Control>}k{/Control}");
    expect(await screen.findByText("Show keyboard shortcuts")).toBeTruthy();
    for (const action of ["Add a domain", "Join an edge", "Create an API token"]) {
      expect(screen.queryByText(action)).toBeNull();
    }
    await userEvent.keyboard("{Escape}");
    await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
  });

  it("makes no projects and joins no edges, whatever the address says", async () => {
    frame(viewer);
    const { router } = open("/settings?tab=projects&project=blog");
    expect(await screen.findByText("Only admins of the platform make projects.")).toBeTruthy();
    expect(screen.getByRole("button", { name: "New project" })).toHaveProperty("disabled", true);
    await act(() => router.navigate({ to: "/edges", search: { join: true } }));
    expect(await screen.findByRole("heading", { name: "Edges", level: 1 })).toBeTruthy();
    expect(screen.queryByRole("dialog")).toBeNull();
  });
});

describe("an address of a project or environment that is not here", () => {
  it.each([
    ["project=gone", 'The project "gone" is not here, or not open to you.'],
    ["project=blog&environment=staging", 'There is no environment "staging" here.'],
  ])("%s says what is shown instead", async (search, said) => {
    frame();
    open(`/settings?tab=about&${search}`);
    expect((await screen.findByText(said)).closest("[role=alert]")?.textContent).toMatch(
      /This is (Default|Blog), production\.$/,
    );
  });

  it("is not said of one that is", async () => {
    frame();
    open("/settings?tab=about&project=default&environment=staging");
    await screen.findByText("About", { selector: "h2" });
    expect(screen.queryByRole("alert")).toBeNull();
  });
});

describe("updates that are interrupted", () => {
  class Stream extends EventTarget {
    static all: Stream[] = [];
    readyState = 0;
    onopen?: () => void;
    onerror?: () => void;
    constructor() {
      super();
      Stream.all.push(this);
    }
    close() {}
  }
  beforeEach(() => {
    Stream.all = [];
    vi.stubGlobal("EventSource", Object.assign(Stream, { CLOSED: 2 }));
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"], shouldAdvanceTime: true });
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  it("are told of after a while, and no more when they are back", async () => {
    frame();
    open("/settings?tab=about");
    await screen.findByText("About", { selector: "h2" });
    const stream = Stream.all.at(-1);
    act(() => stream?.onerror?.());
    expect(screen.queryByText("Live updates are interrupted.")).toBeNull();
    act(() => void vi.advanceTimersByTime(6000));
    expect(screen.getByText("Live updates are interrupted.").closest("[role=alert]")).toBeTruthy();
    act(() => stream?.onopen?.());
    await waitFor(() => expect(screen.queryByText("Live updates are interrupted.")).toBeNull());
  });
});
