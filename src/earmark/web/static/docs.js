// The API's description, drawn from /api/openapi.json.

import { make } from "./dom.js";

const answer = await fetch("api/openapi.json").catch(() => null);
if (!answer?.ok) {
  document.getElementById("lead").textContent = "The server does not answer. Is it running?";
  throw new Error("no description of the API");
}
const description = await answer.json();

for (const [path, methods] of Object.entries(description.paths)) {
  for (const [method, call] of Object.entries(methods)) {
    document.getElementById("calls").append(section(method.toUpperCase(), path, call));
  }
}

function section(method, path, call) {
  const section = make("section", "call");
  const title = make("h2");
  title.append(make("code", "", `${method} ${path}`), make("span", "", call.summary));
  section.append(title, prose(call.description ?? ""), make("pre", "", curl(method, path, call)));
  const rows = [...fields(call).map((row) => [isJson(call) ? "JSON" : "form field", ...row]),
    ...(call.parameters ?? []).map((one) => [one.in, one.name, words(one.schema), one.description])];
  if (rows.length) {
    const names = ["Name", "Meaning", "Where"];
    section.append(make("h3", "", "Parameters"), table(names, rows.map(taken)));
  }
  const answers = Object.entries(call.responses).map(([status, answer]) =>
    [status, answer.description.replace("Successful Response", "All well."), shape(answer)]);
  section.append(make("h3", "", "Responses"), table(["Status", "Meaning", "Body"], answers));
  return section;
}

function header(scope, content) {
  const cell = make("th");
  cell.scope = scope;
  cell.append(content);
  return cell;
}

// A paragraph whose words between backticks are code.
function prose(text) {
  const paragraph = make("p");
  text.split("`").forEach((part, i) => paragraph.append(i % 2 ? make("code", "", part) : part));
  return paragraph;
}

function taken([where, name, kind, description]) {
  return [name, `${description ?? ""} ${kind}`.trim(), where];
}

function fields(call) {
  const body = Object.values(call.requestBody?.content ?? {})[0]?.schema;
  return Object.entries(resolved(body)?.properties ?? {}).map(([name, field]) =>
    [name, "", field.description]);
}

function words(schema) {
  const choice = schema.anyOf?.find((one) => one.type !== "null") ?? schema;
  const parts = [choice.enum ? `One of ${choice.enum.join(", ")}.` : ""];
  if (schema.default !== undefined && schema.default !== null) parts.push(`Default ${schema.default}.`);
  return parts.join(" ").trim();
}

function shape(answer) {
  const given = Object.values(answer.content ?? {})[0]?.schema;
  const schema = resolved(given?.anyOf?.[0] ?? given);
  const names = Object.keys(schema?.properties ?? {});
  return names.length ? `{${names.join(", ")}}` : "";
}

function resolved(schema) {
  const name = schema?.$ref?.split("/").at(-1);
  return name ? description.components.schemas[name] : schema;
}

function isJson(call) {
  return "application/json" in (call.requestBody?.content ?? {});
}

function curl(method, path, call) {
  const names = fields(call).map(([name]) => name);
  const form = !names.length ? "" : isJson(call)
    ? ` -H 'Content-Type: application/json' -d '{${names.map((name) => `"${name}": ...`).join(", ")}}'`
    : ` -F ${names[0]}=@song.mp3`;
  const place = path.slice(1).replaceAll(/{(\w+)}/g, (_, name) => name.toUpperCase());
  return `curl${form} ${new URL(place, document.baseURI)}`;
}

function table(names, rows) {
  const wide = make("div", "wide");
  const body = make("table");
  const head = make("tr");
  head.append(...names.map((name) => header("col", name)));
  body.append(head);
  for (const [first, ...cells] of rows) {
    const row = make("tr");
    row.append(header("row", make("code", "", first)), ...cells.map((cell) => make("td", "", cell)));
    body.append(row);
  }
  wide.append(body);
  return wide;
}
