// Resampling by windowed sincs (Kaiser), with the passband that soxr's HQ quality has.

const PASSBAND = 0.913; // share of the lower Nyquist frequency that is kept as it is
const REJECTION = 110; // dB below which images and aliases are

// samples: Float32Array at `rate` Hz; returns them at `target` Hz
export function resample(samples, rate, target) {
  if (rate === target) return samples;
  const common = divisor(rate, target);
  const up = target / common, down = rate / common;
  const { table, half } = filters(up, down);
  const width = 2 * half;
  const padded = new Float32Array(samples.length + 2 * width);
  padded.set(samples, width);
  const result = new Float32Array(Math.max(1, Math.round((samples.length * up) / down)));
  for (let i = 0; i < result.length; i += 1) {
    const place = i * down;
    const phase = place % up;
    const first = (place - phase) / up - half + 1 + width;
    const from = phase * width;
    let a = 0, b = 0;
    for (let k = 0; k < width; k += 2) {
      a += table[from + k] * padded[first + k];
      b += table[from + k + 1] * padded[first + k + 1];
    }
    result[i] = a + b;
  }
  return result;
}

// For each of the `up` places between two samples the weights of the 2 * half samples around it.
function filters(up, down) {
  const edge = Math.min(1, up / down); // the lower Nyquist frequency, of that of the input
  const cutoff = edge * (1 + PASSBAND) / 2;
  const transition = Math.PI * edge * (1 - PASSBAND);
  const half = Math.ceil((REJECTION - 7.95) / (2.285 * transition) / 2);
  const beta = 0.1102 * (REJECTION - 8.7);
  const table = new Float32Array(up * 2 * half);
  for (let phase = 0; phase < up; phase += 1) {
    for (let k = 0; k < 2 * half; k += 1) {
      const x = k - half + 1 - phase / up;
      const inside = 1 - (x / half) ** 2;
      const window = inside > 0 ? bessel(beta * Math.sqrt(inside)) / bessel(beta) : 0;
      const sinc = x ? Math.sin(Math.PI * cutoff * x) / (Math.PI * x) : cutoff;
      table[phase * 2 * half + k] = sinc * window;
    }
  }
  return { table, half };
}

// The modified Bessel function of the first kind, of order zero.
function bessel(x) {
  let sum = 1, term = 1;
  for (let k = 1; term > 1e-16 * sum; k += 1) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

const divisor = (a, b) => (b ? divisor(b, a % b) : a);
