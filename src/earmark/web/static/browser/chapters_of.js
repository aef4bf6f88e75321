// Chapters of a recording: earmark.chapters, in the browser.

import { evidence, logOdds, round } from "./line.js";

const LEAST_SECONDS = 45, MOST_CELLS = 2500;
const TITLE_TAGS = 3, LEAST_TITLE_SCORE = 0.3;
const QUIET = ["era", "sound"]; // groups whose changes nobody hears

// gram: { seconds, duration, scores: one Float64Array for each cell, over all tags of the model }
// Returns [{ start, end, title, tags }].
export function chapters({ seconds, duration, scores }, { model, rules }) {
  const columns = model.tags.flatMap((one, i) => (QUIET.includes(one.group) ? [] : [i]));
  const together = Math.ceil(scores.length / MOST_CELLS);
  const starts = [], cells = [];
  for (let start = 0; start < scores.length; start += together) {
    const part = scores.slice(start, start + together);
    starts.push(start);
    cells.push(Float64Array.from(columns, (column) =>
      part.reduce((sum, row) => sum + logOdds(row[column]), 0) / part.length));
  }
  const least = Math.max(1, Math.round(LEAST_SECONDS / (duration / starts.length)));
  const edges = [...cuts(cells, least, rules.price).map((cut) => starts[cut]), scores.length];
  return edges.slice(0, -1).map((first, i) => {
    const end = edges[i + 1];
    const tags = standsOut(scores.slice(first, end), columns, model, rules);
    return { start: round(seconds[first], 3), end: round(seconds[end] ?? duration, 3),
      title: tags.join(", ") || "music", tags };
  });
}

// The first cell of each part; the first is 0.
function cuts(cells, least, price) {
  const n = cells.length;
  if (n < 2 * least) return [0];
  const width = cells[0].length;
  const means = Float64Array.from({ length: width }, (_, column) =>
    cells.reduce((sum, row) => sum + row[column], 0) / n);
  const squares = new Float64Array(n + 1);
  const sums = [new Float64Array(width)];
  cells.forEach((row, i) => {
    const centred = row.map((value, column) => value - means[column]);
    squares[i + 1] = squares[i] + centred.reduce((sum, value) => sum + value * value, 0);
    sums.push(sums[i].map((sum, column) => sum + centred[column]));
  });
  const cost = (price * squares[n]) / n;
  const best = new Float64Array(n + 1).fill(Infinity), last = new Int32Array(n + 1);
  best[0] = -cost;
  for (let end = least; end <= n; end += 1) {
    for (let begin = 0; begin <= end - least; begin += 1) {
      if (best[begin] === Infinity) continue;
      let inside = 0;
      for (let column = 0; column < width; column += 1) {
        inside += (sums[end][column] - sums[begin][column]) ** 2;
      }
      const here = best[begin] + squares[end] - squares[begin] - inside / (end - begin) + cost;
      if (here < best[end]) [best[end], last[end]] = [here, begin];
    }
  }
  const found = [];
  for (let end = n; end; found.push(end)) end = last[end];
  return found.reverse();
}

// The likely tags of some cells, best first: a genre, then one of each other group.
function standsOut(scores, columns, model, rules) {
  const mean = (column) => scores.reduce((sum, row) => sum + row[column], 0) / scores.length;
  const isTold = (one) => !rules.compared || one.calibrated || one.reliability !== null;
  const likely = columns.map((column) => {
    const score = mean(column), prior = rules.priors?.[column];
    return { ...model.tags[column], score,
      value: prior === undefined ? score : evidence(score, prior, rules.shrinkage) };
  }).filter((one) => one.score >= LEAST_TITLE_SCORE && isTold(one));
  likely.sort((a, b) => b.value - a.value);
  const best = new Map();
  for (const one of likely) if (!best.has(one.group)) best.set(one.group, one.tag);
  const genre = best.has("genre") ? [best.get("genre")] : [];
  best.delete("genre");
  return [...genre, ...best.values()].slice(0, TITLE_TAGS);
}

// A line for each, as video and podcast sites read it.
export const asText = (parts) => parts.map((one) => `${clock(one.start)} ${one.title}\n`).join("");

// A cue sheet for a file of that name.
export function asCue(parts, name) {
  const suffix = /\.[^.]*$/.exec(name)?.[0].toLowerCase();
  const kind = { ".mp3": "MP3", ".aif": "AIFF", ".aiff": "AIFF" }[suffix] ?? "WAVE";
  const two = (number) => String(number).padStart(2, "0");
  const lines = parts.flatMap((one, i) => {
    const frames = Math.round(one.start * 75), rest = frames % (75 * 60); // of a CD
    return [`  TRACK ${two(i + 1)} AUDIO`, `    TITLE "${quoted(one.title)}"`,
      `    INDEX 01 ${two(Math.floor(frames / (75 * 60)))}:${two(Math.floor(rest / 75))}:${two(rest % 75)}`];
  });
  return `${[`FILE "${quoted(name)}" ${kind}`, ...lines].join("\n")}\n`;
}

function clock(seconds) {
  const whole = Math.floor(seconds), minutes = Math.floor(whole / 60), hours = Math.floor(minutes / 60);
  const two = (number) => String(number).padStart(2, "0");
  return hours ? `${hours}:${two(minutes % 60)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

// A text that may stand between the quotes of a cue sheet, which knows no escapes.
const quoted = (text) => text.replace(/[^\P{C}]|[\p{Zl}\p{Zp}]/gu, " ").replaceAll('"', "'");
