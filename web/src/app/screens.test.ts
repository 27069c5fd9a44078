import { describe, expect, it, vi } from "vitest";
import { patiently } from "./screens";

const gone = new TypeError("Failed to fetch dynamically imported module");

describe("the code of a screen", () => {
  it("is waited for while the server is away", async () => {
    const load = vi.fn<() => Promise<string>>().mockRejectedValueOnce(gone).mockResolvedValue("screen");
    const answers = vi.fn<() => Promise<boolean>>().mockResolvedValueOnce(false).mockResolvedValueOnce(false);
    answers.mockResolvedValue(true);
    const pause = vi.fn(() => Promise.resolve());
    expect(await patiently(load, answers, pause)).toBe("screen");
    expect(pause).toHaveBeenCalledTimes(2);
    expect(load).toHaveBeenCalledTimes(2);
  });

  it("that is not there any more is not waited for", async () => {
    const load = vi.fn<() => Promise<string>>().mockRejectedValue(gone);
    const pause = vi.fn(() => Promise.resolve());
    await expect(patiently(load, () => Promise.resolve(true), pause)).rejects.toBe(gone);
    expect(pause).not.toHaveBeenCalled();
  });
});
