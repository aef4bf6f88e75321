// Data of the plots: earmark.web.drawing, in the browser.

const COLUMNS = 1500; // of both pictures
const RANGE = [8.0, 99.7]; // percentiles of the spectrogram's levels that its colours span

// Lowest and highest sample of each column, in thousandths of the peak.
export function waveform(samples, peak) {
  const n = Math.min(COLUMNS, samples.length), low = [], high = [];
  for (let column = 0; column < n; column += 1) {
    const end = Math.floor(((column + 1) * samples.length) / n);
    let least = Infinity, most = -Infinity;
    for (let i = Math.floor((column * samples.length) / n); i < end; i += 1) {
      least = Math.min(least, samples[i]);
      most = Math.max(most, samples[i]);
    }
    low.push(Math.round((1000 * least) / (peak || 1)));
    high.push(Math.round((1000 * most) / (peak || 1)));
  }
  return { low, high };
}

// The spectrogram in 256 steps, and which band is which frequency.
// mel: of model.json; size: samples of a window, the piece that is computed at a time
export function melImage(samples, mel, { rate, window_samples: size }) {
  const columnSeconds = samples.length / rate / COLUMNS;
  const front = new Front(mel), parts = [];
  for (let start = 0; start < samples.length; start += size) {
    parts.push(front.columns(samples.subarray(start, start + size), rate * columnSeconds));
  }
  const n = parts.reduce((sum, part) => sum + part.length / mel.filters.length, 0);
  const values = new Float32Array(mel.filters.length * n); // band after band
  let column = 0;
  for (const part of parts) {
    for (let i = 0; i < part.length; i += 1) {
      const band = i % mel.filters.length;
      values[band * n + column + (i - band) / mel.filters.length] = part[i];
    }
    column += part.length / mel.filters.length;
  }
  if (mel.top_db !== null) {
    const floor = values.reduce((a, b) => Math.max(a, b)) - mel.top_db;
    for (let i = 0; i < values.length; i += 1) values[i] = Math.max(values[i], floor);
  }
  const sorted = Float32Array.from(values).sort();
  const [floor, top] = RANGE.map((share) => {
    const place = (share / 100) * (sorted.length - 1), below = Math.floor(place);
    const above = Math.min(below + 1, sorted.length - 1);
    return sorted[below] + (place - below) * (sorted[above] - sorted[below]);
  });
  const steps = Uint8Array.from(values, (value) =>
    255 * Math.min(1, Math.max(0, (value - floor) / Math.max(top - floor, 1e-6))));
  return { z: typedArray(steps, [mel.filters.length, n]), hz: mel.hz };
}

// As plotly.js reads it: base64 bytes.
function typedArray(bytes, shape) {
  let text = "";
  for (let i = 0; i < bytes.length; i += 8192) {
    text += String.fromCharCode(...bytes.subarray(i, i + 8192));
  }
  return { dtype: "u1", bdata: btoa(text), shape: shape.join(", ") };
}

// The log-mel of the page's picture; the network has its own, in the model.
class Front {
  constructor(mel) {
    this.mel = mel;
    this.transform = new Fourier(mel.n_fft);
  }

  // The mean spectra of columns of about that many samples, one after the other.
  columns(samples, columnSamples) {
    const { mel, transform } = this, { n_fft: length, hop, window, filters } = mel;
    const signal = emphasised(samples, mel.pre_emphasis);
    const nFrames = 1 + Math.floor(signal.length / hop), nBands = filters.length;
    const n = Math.min(Math.max(1, Math.round(samples.length / columnSamples)), nFrames);
    const columns = new Float32Array(n * nBands), counts = new Uint32Array(n);
    const real = new Float64Array(length), imaginary = new Float64Array(length);
    const power = [new Float64Array(length / 2 + 1), new Float64Array(length / 2 + 1)];
    const at = (i) => signal[mel.padding === "reflect" ? reflected(i, signal.length) : i] ?? 0;
    const fill = (frame, target) => {
      const first = frame * hop - (length >> 1);
      const inside = first >= 0 && first + length <= signal.length;
      for (let i = 0; i < length; i += 1) {
        target[i] = window[i] * (inside ? signal[first + i] : at(first + i));
      }
    };
    let column = 0;
    for (let frame = 0; frame < nFrames; frame += 2) { // two at a time, as one complex signal
      const both = frame + 1 < nFrames;
      fill(frame, real);
      if (both) fill(frame + 1, imaginary);
      else imaginary.fill(0);
      transform.powers(real, imaginary, power);
      for (let k = 0; k <= Number(both); k += 1) {
        while (frame + k >= Math.floor(((column + 1) * nFrames) / n)) column += 1;
        counts[column] += 1;
        for (let band = 0; band < nBands; band += 1) {
          const [first, weights] = filters[band];
          let sum = 0;
          for (let i = 0; i < weights.length; i += 1) sum += weights[i] * power[k][first + i];
          sum = mel.floor === "add" ? sum + mel.amin : Math.max(sum, mel.amin);
          columns[column * nBands + band] += mel.decibels * Math.log10(sum) + mel.offset;
        }
      }
    }
    return columns.map((value, i) => value / counts[Math.floor(i / nBands)]);
  }
}

function emphasised(samples, share) {
  if (!share) return samples;
  if (samples.length === 1) return new Float32Array([-share * samples[0]]);
  return Float32Array.from({ length: samples.length - 1 },
    (_, i) => samples[i + 1] - share * samples[i]);
}

function reflected(i, n) {
  if (n === 1) return 0;
  const turn = 2 * (n - 1), place = ((i % turn) + turn) % turn;
  return place < n ? place : turn - place;
}

// Fourier transforms of n points: halved while n is even, and summed term by term below that.
class Fourier {
  constructor(n) {
    this.n = n;
    this.odd = n;
    while (this.odd % 2 === 0) this.odd /= 2;
    this.cos = Float64Array.from({ length: n }, (_, i) => Math.cos((2 * Math.PI * i) / n));
    this.sin = Float64Array.from({ length: n }, (_, i) => -Math.sin((2 * Math.PI * i) / n));
    this.re = new Float64Array(n);
    this.im = new Float64Array(n);
  }

  // The powers of two real signals at once; into power[0] and power[1], n / 2 + 1 each.
  powers(a, b, power) {
    const { n } = this;
    this.run(a, b, 0, 1, 0, n);
    for (let k = 0; k <= n / 2; k += 1) {
      const j = (n - k) % n, { re, im } = this;
      power[0][k] = ((re[k] + re[j]) ** 2 + (im[k] - im[j]) ** 2) / 4;
      power[1][k] = ((im[k] + im[j]) ** 2 + (re[j] - re[k]) ** 2) / 4;
    }
  }

  // The transform of every `step`-th point from `from` on, `size` of them, to re and im from `to` on.
  run(a, b, from, step, to, size) {
    const { re, im, cos, sin, n } = this;
    if (size === this.odd) {
      for (let k = 0; k < size; k += 1) {
        let sumRe = 0, sumIm = 0;
        for (let i = 0; i < size; i += 1) {
          const turn = (((i * k) % size) * n) / size, x = a[from + i * step], y = b[from + i * step];
          sumRe += x * cos[turn] - y * sin[turn];
          sumIm += x * sin[turn] + y * cos[turn];
        }
        re[to + k] = sumRe;
        im[to + k] = sumIm;
      }
      return;
    }
    const half = size / 2;
    this.run(a, b, from, 2 * step, to, half);
    this.run(a, b, from + step, 2 * step, to + half, half);
    for (let k = 0, turn = 0; k < half; k += 1, turn += n / size) {
      const i = to + k, j = i + half;
      const x = re[j] * cos[turn] - im[j] * sin[turn], y = re[j] * sin[turn] + im[j] * cos[turn];
      re[j] = re[i] - x;
      im[j] = im[i] - y;
      re[i] += x;
      im[i] += y;
    }
  }
}
