// What the page of a library asks the server.

import { Refused, headers } from "./api.js";

const query = (values) => new URLSearchParams(
  Object.entries(values).filter(([, value]) => value !== "" && value != null)).toString();

async function ask(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { ...options, headers: { ...headers(), ...options.headers } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, "The server does not answer. Is it running?");
  }
  if (response.ok) return response;
  const body = await response.json().catch(() => null);
  throw new Refused(response.status, body?.error?.message ?? `The server answered ${response.status}`);
}

const json = async (path, options) => (await ask(path, options)).json();

export const about = () => json("api/library");
export const song = (id) => json(`api/library/songs/${id}`);
export const corrections = async () => (await ask("api/library/corrections.csv")).text();

// A part of a list. view: { kind: "songs", expression, words }, { kind: "similar", song } or
// { kind: "journey", from, to }
export const list = ({ kind, ...asked }, { offset = 0, limit = null, signal } = {}) =>
  json(`api/library/${kind}?${query({ ...asked, ...(kind === "songs" ? { offset, limit } : {}) })}`,
    { signal });

export const playlist = async ({ kind, ...asked }) => {
  const limit = kind === "songs" ? 10_000 : null;
  return (await ask(`api/library/${kind}?${query({ ...asked, limit, format: "m3u" })}`)).text();
};

// holds: true, false, or null, which forgets what was said
export const correct = (id, tag, holds) => json(`api/library/songs/${id}/corrections`, {
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify({ tag, holds }),
});
