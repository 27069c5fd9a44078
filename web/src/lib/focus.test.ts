import { beforeEach, describe, expect, it } from "vitest";
import { refocus } from "./focus";

function button(name: string, parent: Element = document.body): HTMLButtonElement {
  const made = document.createElement("button");
  made.textContent = name;
  parent.append(made);
  return made;
}

describe("a focus that was lost", () => {
  beforeEach(() => document.body.replaceChildren());

  it("goes to what had it last and is still there", () => {
    const menu = button("menu");
    const item = button("item");
    menu.focus();
    item.focus();
    item.remove();
    refocus();
    expect(document.activeElement).toBe(menu);
  });

  it("stays in the dialog that is open", () => {
    const outside = button("outside");
    const dialog = document.createElement("section");
    dialog.setAttribute("role", "dialog");
    dialog.setAttribute("aria-modal", "true");
    document.body.append(dialog);
    const field = button("field", dialog);
    field.dataset["autofocus"] = "true";
    outside.focus();
    outside.blur();
    refocus();
    expect(document.activeElement).toBe(field);
  });

  it("is not taken from who has it", () => {
    const one = button("one");
    const other = button("other");
    other.focus();
    one.focus();
    refocus();
    expect(document.activeElement).toBe(one);
  });
});
