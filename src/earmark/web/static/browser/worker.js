// The worker that hears: it resamples a song, runs the network, and describes what came of it.

import * as ort from "../onnxruntime/ort.js";
import { describe } from "./describe.js";
import { resample } from "./resample.js";

const FOLDER = new URL("../", import.meta.url);

// Threads need memory that is shared, which a browser gives to a site that is isolated from others.
ort.env.wasm.numThreads = self.crossOriginIsolated
  ? Math.max(1, Math.min(4, navigator.hardwareConcurrency - 1)) : 1;
ort.env.wasm.wasmPaths = { wasm: new URL("onnxruntime/ort-wasm-simd-threaded.wasm", FOLDER).href };

let loaded = null; // { card, session }

async function load() {
  const [card, model] = await Promise.all([
    fetch(new URL("model.json", FOLDER)).then((response) => response.json()),
    fetch(new URL("model.onnx", FOLDER)).then((response) => response.arrayBuffer()),
  ]);
  const session = await ort.InferenceSession.create(new Uint8Array(model),
    { executionProviders: ["wasm"] });
  return { card, session };
}

async function hear({ name, samples, rate }) {
  loaded ??= await load();
  const { card, session } = loaded, { features } = card.model;
  const heard = resample(samples, rate, features.rate);
  if (!heard.length) throw new Error("it holds no sound");
  const run = async (window) => {
    const tensor = new ort.Tensor("float32", window, [1, window.length]);
    const answer = await session.run({ samples: tensor }, ["logits"]);
    const logits = Float32Array.from(answer.logits.data);
    answer.logits.dispose();
    return logits;
  };
  return describe(name, heard, card, run, (done) => postMessage({ done }));
}

onmessage = async ({ data }) => {
  try {
    postMessage({ result: await hear(data) });
  } catch (error) {
    postMessage({ error: error.message ?? String(error) });
  }
};
