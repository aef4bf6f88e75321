// What is said of a song: its tags in order, its kind, its first genre, what speaks against them.
// As earmark.tagger, earmark.ranking and earmark.signal_check have it; the numbers and sentences
// come from there, by way of model.json.

const LEAST = Math.fround(1e-6); // scores of exactly 0 or 1 have no log-odds
const STEP_SECONDS = 0.5, LEAST_POWER = 1e-9;

export const logOdds = (score) => {
  const clipped = Math.min(1 - LEAST, Math.max(LEAST, score));
  return Math.log(clipped) - Math.log1p(-clipped);
};
export const evidence = (score, prior, shrinkage) => logOdds(score) - shrinkage * logOdds(prior);
export const round = (value, digits) => Math.round(value * 10 ** digits) / 10 ** digits;

// Logits, calibrated where the model says how.
export const calibrated = (logits, calibration) => Float64Array.from(logits, (x, i) =>
  calibration ? calibration.scale[i] * x + calibration.offset[i] : x);

export const sigmoids = (values) => Float64Array.from(values, (x) => 0.5 * (1 + Math.tanh(0.5 * x)));

// The line of a song as `earmark tag --json` prints it, and its headline.
// odds: calibrated, one for each tag; level: of levelOf
export function line(name, seconds, odds, level, { model, rules }) {
  const scores = sigmoids(odds);
  const warnings = doubts(odds, level, model.tags, rules);
  const tags = model.tags.map((one, i) => {
    const prior = rules.priors?.[i] ?? null;
    return {
      tag: one.tag, score: scores[i], lift: prior === null ? null : scores[i] / prior,
      evidence: prior === null ? null : evidence(scores[i], prior, rules.shrinkage),
      group: one.group, calibrated: one.calibrated, reliability: one.reliability,
    };
  });
  const value = (tag) => tag.evidence ?? tag.score;
  const ranked = tags.filter((tag) => tag.group !== "sound").sort((a, b) => value(b) - value(a));
  const shown = warnings.map((one) => rules.shown[one.kind]).find(Boolean);
  const [headline, kind] = shown ?? [null, "music"];
  const song = {
    path: name, seconds: round(seconds, 3), model: model.name, kind,
    first_genre: kind === "music" ? firstGenre(ranked, value, rules) : null,
    tags: ranked.map((tag) => ({
      ...tag, score: round(tag.score, 6), lift: tag.lift && round(tag.lift, 4),
      evidence: tag.evidence && round(tag.evidence, 4),
      reliability: tag.reliability && round(tag.reliability, 4),
    })),
  };
  if (warnings.length) song.warnings = warnings;
  return { song, headline };
}

// A specific genre goes before a vague one that it nearly equals.
function firstGenre(ranked, value, { sure, genres: { general, vague, near } }) {
  const genres = ranked.filter((tag) => tag.group === "genre");
  let [first] = genres;
  if (first && vague.includes(first.tag)) {
    const close = genres.filter((tag) =>
      !general.includes(tag.tag) && tag.score >= near * first.score);
    first = close.sort((a, b) => value(b) - value(a))[0] ?? first;
  }
  return first?.score >= sure ? first.tag : null;
}

function doubts(odds, { peak, unrest }, tags, { sounds, margin, level, doubts: words }) {
  if (peak > level.too_large) {
    return [{ kind: "scale", message: `its samples reach ${Number(peak.toPrecision(5))}, and full `
      + "scale is 1: divide integers by theirs, such as 32768 for 16 bits" },
    ...doubts(odds, { peak: 1, unrest }, tags, { sounds, margin, level, doubts: words })];
  }
  const columns = sounds.map((sound) => tags.findIndex((one) => one.tag === sound));
  const knows = columns.every((column) => column >= 0);
  if (peak < (knows ? level.nothing : level.silent)) {
    const decibels = peak ? `, its peak is ${(20 * Math.log10(peak)).toFixed(0)} dB` : "";
    return [{ kind: "silent", message: `it is silent${decibels}: its tags mean nothing` }];
  }
  if (knows) {
    const values = columns.map((column, i) => odds[column] + (sounds[i] === "music" ? margin : 0));
    const doubt = words[sounds[values.indexOf(Math.max(...values))]];
    return doubt ? [doubt] : [];
  }
  if (unrest !== null && unrest < level.steady) {
    return [{ kind: "steady",
      message: "it sounds the same throughout, as noise and hum do: its tags mean little" }];
  }
  return [];
}

// { peak, unrest } of samples: the largest one, and how much the level of the slope varies, in dB.
export function levelOf(samples, rate, leastSeconds) {
  let peak = 0;
  for (const x of samples) peak = Math.max(peak, x, -x);
  const size = Math.max(1, Math.round(STEP_SECONDS * rate));
  const powers = [];
  for (let start = 0; start + size < samples.length; start += size) {
    let sum = 0;
    for (let i = start; i < start + size; i += 1) sum += (samples[i + 1] - samples[i]) ** 2;
    powers.push(10 * Math.log10(Math.max(sum / size, LEAST_POWER)));
  }
  if (powers.length * STEP_SECONDS < leastSeconds - 1) return { peak, unrest: null };
  const mean = powers.reduce((a, b) => a + b, 0) / powers.length;
  const square = powers.reduce((sum, power) => sum + (power - mean) ** 2, 0) / powers.length;
  return { peak, unrest: Math.sqrt(square) };
}
