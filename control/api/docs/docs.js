"use strict";

// Renders /openapi.json. Text only ever becomes text nodes.

const element = (name, attributes = {}, ...children) => {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
};

const refName = (schema) => (schema && schema.$ref ? schema.$ref.split("/").pop() : "");

const typeOf = (schema) => {
  if (!schema) return "";
  if (schema.$ref) return refName(schema);
  if (schema.oneOf) return schema.oneOf.map(typeOf).join(" or ");
  if (schema.type === "array") return `${typeOf(schema.items)}[]`;
  if (schema.type === "object" && schema.additionalProperties) return `map of ${typeOf(schema.additionalProperties)}`;
  return [schema.type || "any", schema.format ? `(${schema.format})` : ""].join(" ").trim();
};

const limits = (schema) =>
  [
    schema.default !== undefined ? `default ${JSON.stringify(schema.default)}` : "",
    schema.minimum !== undefined ? `at least ${schema.minimum}` : "",
    schema.maximum !== undefined ? `at most ${schema.maximum}` : "",
    schema.maxLength !== undefined ? `at most ${schema.maxLength} characters` : "",
    schema.maxItems !== undefined ? `at most ${schema.maxItems} items` : "",
  ]
    .filter(Boolean)
    .join(", ");

const table = (label, heads, rows) =>
  element(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": label },
    element(
      "table",
      {},
      element("thead", {}, element("tr", {}, ...heads.map((h) => element("th", { scope: "col" }, h)))),
      element("tbody", {}, ...rows.map((row) => element("tr", {}, ...row.map((cell) => element("td", {}, cell))))),
    ),
  );

const schemaView = (api, schema, depth = 0, seen = []) => {
  const out = element("div");
  if (!schema) return out;
  if (schema.oneOf) {
    for (const one of schema.oneOf) out.append(schemaView(api, one, depth, seen));
    return out;
  }
  if (schema.type === "array") return schemaView(api, schema.items, depth, seen);
  const name = refName(schema);
  const full = name ? api.components.schemas[name] : schema;
  if (!full || !full.properties || seen.includes(name)) return out;
  const rows = [];
  const nested = [];
  for (const [key, property] of Object.entries(full.properties)) {
    const needed = (full.required || []).includes(key) ? "yes" : "optional";
    const text = [property.description || "", limits(property)].filter(Boolean).join(". ");
    rows.push([element("code", {}, key), typeOf(property), needed, text]);
    const inner = schemaView(api, property, depth + 1, [...seen, name]);
    if (inner.childElementCount) nested.push([key, typeOf(property), inner]);
  }
  out.append(table(name || "fields", ["field", "type", "needed", "about"], rows));
  for (const [key, type, inner] of nested) {
    out.append(element("details", {}, element("summary", {}, element("code", {}, key), ` ${type}`), inner));
  }
  return out;
};

const content = (holder) => {
  const types = Object.entries((holder && holder.content) || {});
  return types.length ? types[0] : ["", null];
};

const operationView = (api, method, path, operation) => {
  const view = element("article", { id: operation.operationId });
  view.append(
    element("h3", {}, element("span", { class: "method" }, method.toUpperCase()), element("span", { class: "path" }, path)),
    element("p", {}, operation.summary || ""),
  );
  if (operation.description) view.append(element("p", { class: "dim" }, operation.description));
  const needs = operation["x-permission"]
    ? `Needs the permission ${operation["x-permission"]}.`
    : operation.security
      ? "Needs credentials."
      : "Needs no credentials.";
  view.append(element("p", { class: "dim" }, needs));
  const parameters = operation.parameters || [];
  if (parameters.length) {
    const rows = parameters.map((p) => [
      element("code", {}, p.name),
      p.in,
      typeOf(p.schema),
      [p.description || "", limits({ ...p.schema, maxLength: undefined })].filter(Boolean).join(". "),
    ]);
    view.append(table("Parameters", ["parameter", "in", "type", "about"], rows));
  }
  const [, body] = content(operation.requestBody);
  if (body) {
    view.append(element("details", {}, element("summary", {}, `Body: ${typeOf(body.schema)}`), schemaView(api, body.schema)));
  }
  for (const [status, response] of Object.entries(operation.responses || {})) {
    if (status === "default") continue;
    const [type, media] = content(response);
    const label = [status, response.description || "", media ? typeOf(media.schema) : "", type === "application/json" ? "" : type]
      .filter(Boolean)
      .join(" · ");
    const inner = media ? schemaView(api, media.schema) : element("div");
    view.append(inner.childElementCount ? element("details", {}, element("summary", {}, label), inner) : element("p", {}, label));
  }
  view.dataset.text = [method, path, operation.operationId, operation.summary, operation.description].join(" ").toLowerCase();
  return view;
};

const render = (api) => {
  document.getElementById("about").textContent = `${api.info.description} Version ${api.info.version}.`;
  const byTag = new Map();
  for (const [path, methods] of Object.entries(api.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      const tag = (operation.tags || ["Other"])[0];
      if (!byTag.has(tag)) byTag.set(tag, []);
      byTag.get(tag).push([method, path, operation]);
    }
  }
  const operations = document.getElementById("operations");
  const index = document.getElementById("index");
  operations.replaceChildren();
  for (const [tag, list] of [...byTag].sort((a, b) => a[0].localeCompare(b[0]))) {
    const section = element("section", { "aria-label": tag }, element("h2", {}, tag));
    const links = element("ul");
    for (const [method, path, operation] of list) {
      section.append(operationView(api, method, path, operation));
      links.append(element("li", {}, element("a", { href: `#${operation.operationId}` }, operation.summary || operation.operationId)));
    }
    operations.append(section);
    index.append(element("h2", {}, tag), links);
  }
  const filter = document.getElementById("filter");
  filter.addEventListener("input", () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const section of operations.querySelectorAll("section")) {
      let shown = 0;
      for (const article of section.querySelectorAll("article")) {
        article.hidden = !words.every((word) => article.dataset.text.includes(word));
        shown += article.hidden ? 0 : 1;
      }
      section.hidden = shown === 0;
    }
  });
  if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
};

fetch("/openapi.json")
  .then((response) => (response.ok ? response.json() : Promise.reject(new Error(`status ${response.status}`))))
  .then(render)
  .catch((error) => {
    document.getElementById("operations").textContent = `The description of the API could not be loaded (${error.message}). Reload the page.`;
  });
