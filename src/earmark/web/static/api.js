// What is asked of the server: the only file here that knows of one. The rest of the page needs
// `models`, `listen`, `sensitivity` and `setToken`, and errors with a `status`, from wherever they
// come: browser/hear.js has the same without a server. There `sensitivity` is null.

const TOKEN = "earmark-token";

// A token may come in the address after #token=, which no server sees; it is kept for this tab.
const given = new URLSearchParams(location.hash.slice(1)).get("token");
if (given) {
  sessionStorage.setItem(TOKEN, given);
  history.replaceState(null, "", location.pathname);
}

export class Refused extends Error {
  constructor(status, message, retryAfter = 0) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter; // seconds, of a server that is full
  }
}

export const setToken = (token) => sessionStorage.setItem(TOKEN, token);

export async function models() {
  const response = await fetch("api/models", { headers: headers() }).catch(() => {
    throw new Refused(0, "The server does not answer. Is it running?");
  });
  const body = await response.json();
  if (!response.ok) throw new Refused(response.status, body.error.message);
  return body.models;
}

// Sends a song and follows the answer's lines. onProgress(stage, done): "sending", "decoding" or
// "listening", and how far, from 0 to 1, or null if it is not known. Returns the promise of the
// result and a function that calls it off.
export function listen(file, onProgress) {
  const request = post("api/listen", file);
  request.upload.onprogress = (event) =>
    event.lengthComputable && onProgress("sending", event.loaded / event.total);
  request.upload.onload = () => onProgress("decoding", null);
  request.onprogress = () => {
    if (request.status !== 200) return;
    const lines = request.responseText.slice(-4000).split("\n").slice(0, -1);
    if (lines.at(-1)?.startsWith('{"done"')) onProgress("listening", JSON.parse(lines.at(-1)).done);
  };
  const result = answer(request).then((text) => {
    const last = JSON.parse(text.trimEnd().split("\n").at(-1));
    if (last.error) throw new Refused(422, last.error.message);
    if (!last.result) throw new Refused(0, "The server stopped before the end. Try again");
    return last.result;
  });
  request.send(form(file));
  return { result, cancel: () => request.abort() };
}

export async function sensitivity(file, start) {
  const request = post(`api/sensitivity?start=${start.toFixed(3)}`, file);
  const result = answer(request);
  request.send(form(file));
  return JSON.parse(await result);
}

function post(path) {
  const request = new XMLHttpRequest(); // fetch tells nothing of how far an upload is
  request.open("POST", path);
  for (const [name, value] of Object.entries(headers())) request.setRequestHeader(name, value);
  return request;
}

function answer(request) {
  return new Promise((resolve, reject) => {
    request.onload = () => {
      if (request.status === 200) resolve(request.responseText);
      else reject(new Refused(request.status, sentence(request),
        Number(request.getResponseHeader("Retry-After") ?? 0)));
    };
    request.onerror = () => reject(new Refused(0, "The server does not answer. Is it running?"));
    request.onabort = () => reject(new DOMException("called off", "AbortError"));
  });
}

function sentence(request) {
  try {
    return JSON.parse(request.responseText).error.message;
  } catch {
    return `The server answered ${request.status}. Try again`;
  }
}

function form(file) {
  const data = new FormData();
  data.append("file", file, file.name);
  return data;
}

export function headers() {
  const token = sessionStorage.getItem(TOKEN);
  return token ? { Authorization: `Bearer ${token}` } : {};
}
