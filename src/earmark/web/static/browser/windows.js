// The windows of a song, and what becomes of the answers to them: earmark.windows.

// { start, samples, length } for each window of the whole song.
export function* whole(samples, { window_samples: size, short }) {
  for (const [start, piece] of cut(samples, size, size)) {
    yield { start, length: piece.length, samples: fit(piece, size, short) };
  }
}

// The same for stretches, each repeated until it fills a window.
export function* stretches(samples, { window_samples: size }, length, hop) {
  for (const [start, piece] of cut(samples, length, hop)) {
    yield { start, length: piece.length, samples: fit(piece, size, "repeat") };
  }
}

// [start, piece] at multiples of the hop, and once more at the end.
function* cut(samples, length, hop) {
  const n = samples.length;
  let next = 0;
  for (; next + length <= n; next += hop) yield [next, samples.subarray(next, next + length)];
  if (next === 0) yield [0, samples];
  else if (n > next - hop + length) yield [n - length, samples.subarray(n - length)];
}

function fit(piece, size, short) {
  if (piece.length === size) return piece;
  const filled = new Float32Array(size);
  for (let at = 0; at < size; at += piece.length) {
    filled.set(piece.subarray(0, size - at), at);
    if (short !== "repeat") break;
  }
  return filled;
}

// A song's logits from those of its windows.
export function pool(logits, pooling) {
  return Float64Array.from(logits[0], (_, tag) => {
    const values = logits.map((row) => row[tag]);
    if (pooling === "logits" || values.length === 1) return mean(values);
    // log(sum of sigmoids) - log(sum of the rest), from logarithms: small scores keep their digits
    const yes = values.map((x) => -softplus(-x)), rest = values.map((x) => -softplus(x));
    return logSum(yes) - logSum(rest);
  });
}

const mean = (values) => values.reduce((sum, x) => sum + x, 0) / values.length;
const softplus = (x) => Math.max(0, x) + Math.log1p(Math.exp(-Math.abs(x)));

function logSum(values) {
  const most = Math.max(...values);
  return most + Math.log(values.reduce((sum, x) => sum + Math.exp(x - most), 0));
}

// Logits over time: in each cell the mean of the windows that hear any of it.
// answers: [{ start, length, logits }], in the order of their starts
export function overTime(answers, nSamples, cell) {
  return Array.from({ length: Math.max(1, Math.ceil(nSamples / cell)) }, (_, i) => {
    const hears = answers.filter(({ start, length }) =>
      start < (i + 1) * cell && start + length > i * cell);
    return Float64Array.from(hears[0].logits, (_, tag) => mean(hears.map((one) => one.logits[tag])));
  });
}
