// What the page asks for, done in this browser: `earmark page` puts this file in place of api.js.
// The sound is decoded here and heard in a worker; nothing is sent anywhere.

import { rateOf } from "./browser/file_rate.js";
import { mono } from "./browser/mono.js";

const USUAL_RATE = 48_000; // Hz, where a file does not say its own
const LONGEST = 30 * 60; // seconds; the samples of more do not fit into the memory of a tab
const FOLDER = new URL("./", import.meta.url); // of this file, in its place

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export const setToken = () => {}; // nobody asks for one
export const sensitivity = null; // takes a hundred times as long as the tags

let card = null;

export async function models() {
  card ??= fetch(new URL("model.json", FOLDER)).then((response) => response.json());
  try {
    return [(await card).model];
  } catch {
    card = null;
    throw new Refused(0, "The model of this page cannot be loaded. Reload the page");
  }
}

// As in api.js. Songs are heard one after the other: one has all the memory.
let last = Promise.resolve();

export function listen(file, onProgress) {
  const call = new AbortController();
  const turn = last;
  const result = (async () => {
    await null; // the caller first notes that it has asked
    onProgress("waiting", null);
    await turn;
    call.signal.throwIfAborted();
    onProgress("decoding", null);
    const sound = await decoded(file, call.signal);
    return heard(file.name, sound, onProgress, call.signal);
  })();
  last = result.catch(() => {});
  return { result, cancel: () => call.abort() };
}

// Mono samples of a file, at its own rate where the file says it: then the browser does not resample.
async function decoded(file, signal) {
  const seconds = await duration(file);
  if (seconds > LONGEST) {
    throw new Refused(422, `${file.name} is longer than ${LONGEST / 60} minutes, which is the most `
      + "that this page hears. The command earmark tag hears all of it");
  }
  let bytes, buffer;
  try {
    bytes = await file.arrayBuffer();
  } catch {
    throw new Refused(422, `${file.name} cannot be read. Choose it again`);
  }
  const context = contextOf(rateOf(new Uint8Array(bytes)) ?? USUAL_RATE);
  try {
    buffer = await context.decodeAudioData(bytes);
  } catch {
    throw new Refused(422, `${file.name} holds no sound that this browser can decode. `
      + "The command earmark tag reads more formats");
  }
  signal.throwIfAborted();
  const rate = buffer.sampleRate;
  const channels = Array.from({ length: buffer.numberOfChannels }, (_, i) => buffer.getChannelData(i));
  const samples = await mono(channels, rate, () => new Promise((resume) => setTimeout(resume)));
  return { samples, rate };
}

function contextOf(rate) {
  try {
    return new OfflineAudioContext(1, 1, rate);
  } catch { // a rate that this browser does not decode to
    return new OfflineAudioContext(1, 1, USUAL_RATE);
  }
}

// Seconds that the file states; NaN where the browser cannot play it, or does not know.
async function duration(file) {
  const audio = new Audio();
  audio.preload = "metadata";
  audio.src = URL.createObjectURL(file);
  try {
    await new Promise((resolve) => {
      audio.onloadedmetadata = audio.onerror = resolve;
    });
    return audio.duration === Infinity ? NaN : audio.duration;
  } finally {
    URL.revokeObjectURL(audio.src);
    audio.removeAttribute("src");
  }
}

// ---- the worker

let worker = null;

async function heard(name, { samples, rate }, onProgress, signal) {
  onProgress("listening", 0);
  const mine = worker ??= started();
  try {
    return await new Promise((resolve, reject) => {
      mine.onmessage = ({ data }) => {
        if (data.result) resolve(data.result);
        else if (data.error) reject(new Refused(422, `${name}: ${data.error}`));
        else onProgress("listening", data.done);
      };
      mine.onerror = (event) => {
        event.preventDefault?.();
        reject(new Refused(422, `${name} could not be heard: ${event.message ?? "the worker stopped"}`));
      };
      signal.addEventListener("abort", () => reject(signal.reason));
      mine.postMessage({ name, samples, rate }, [samples.buffer]);
    });
  } catch (error) {
    mine.terminate(); // also where it was called off: the network hears nothing while it computes
    worker = null;
    throw error;
  }
}

// A worker made from a blob keeps the policy of this page; one made from an address has none.
function started() {
  const code = `import ${JSON.stringify(new URL("browser/worker.js", FOLDER).href)};`;
  const address = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
  return new Worker(address, { type: "module" });
}

// Keeps the page for when there is no network; where that is not allowed, all else works.
navigator.serviceWorker?.register(new URL("../sw.js", FOLDER)).catch(() => {});
