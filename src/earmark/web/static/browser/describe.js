// All that the page shows of a song, from what the network answers: as /api/listen has it.

import { asCue, asText, chapters } from "./chapters_of.js";
import { melImage, waveform } from "./drawing.js";
import { calibrated, levelOf, line, round, sigmoids } from "./line.js";
import { overTime, pool, stretches, whole } from "./windows.js";

// samples: at the model's rate; run(samples of a window): its logits; onDone(share): told at times
export async function describe(name, samples, card, run, onDone) {
  const { model, rules, mel } = card, { features } = model;
  const moment = Math.floor(features.window_samples / rules.moments);
  const duration = samples.length / features.rate;
  const nWholes = Math.ceil(samples.length / features.window_samples);
  const all = nWholes + Math.max(1, Math.ceil(samples.length / moment) - 1);
  let done = 0;
  const answers = async (windows) => {
    const found = [];
    for (const { start, length, samples: window } of windows) {
      found.push({ start, length, logits: await run(window) });
      done += 1;
      onDone(Math.min(1, done / all));
    }
    return found;
  };
  const wholes = await answers(whole(samples, features));
  const parts = await answers(stretches(samples, features, 2 * moment, moment));

  const level = levelOf(samples, features.rate, rules.level.least_seconds);
  const odds = calibrated(pool(wholes.map((one) => one.logits), rules.pooling), rules.calibration);
  const { song, headline } = line(name, duration, odds, level, card);
  const cells = overTime(parts, samples.length, moment)
    .map((logits) => sigmoids(calibrated(logits, rules.calibration)));
  const seconds = cells.map((_, i) => (i * moment) / features.rate);
  const found = headline ? [] : chapters({ seconds, duration, scores: cells }, card);
  // the words for what is not music are no tags
  const columns = model.tags.flatMap((one, i) => (one.group === "sound" ? [] : [i]));
  const tags = columns.map((column) => model.tags[column].tag);
  return {
    song, headline,
    window_seconds: round(features.window_samples / features.rate, 3),
    waveform: waveform(samples, level.peak),
    spectrogram: melImage(samples, mel, features),
    taggram: {
      seconds: seconds.map((one) => round(one, 3)), duration: round(duration, 3), tags,
      scores: columns.map((column) => cells.map((row) => round(row[column], 4))),
    },
    csv: table(["seconds", ...tags], cells.map((row, i) =>
      [seconds[i].toFixed(3), ...columns.map((column) => row[column].toFixed(6))])),
    chapters: found, chapter_list: asText(found), cue: asCue(found, name), similar: null,
  };
}

function table(head, rows) {
  const cell = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  return [head.map(cell), ...rows].map((row) => `${row.join(",")}\r\n`).join("");
}
