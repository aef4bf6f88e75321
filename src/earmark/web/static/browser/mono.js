// Channels to mono, as earmark.audio.downmix does it: their mean, which leans to one side where the
// sides are in antiphase and the mean would be silent.

const OPPOSED = 0.6, ANTIPHASE = 0.9;
const STEPS_PER_SECOND = 20, MEMORY = 10;
const AT_ONCE = 200; // steps from one pause to the next: the page stays quick

// channels: Float32Arrays of one length; pause(): awaited now and then.
export async function mono(channels, rate, pause = async () => {}) {
  const n = channels[0].length, share = 1 / channels.length;
  const mixed = new Float32Array(n);
  if (channels.length === 1) {
    mixed.set(channels[0]);
    return mixed;
  }
  const step = Math.max(1, Math.floor(rate / STEPS_PER_SECOND));
  const nSteps = Math.ceil(n / step) + 1; // behind the last one is silence
  const powers = new Float64Array(nSteps), opposed = new Float64Array(nSteps);
  // what the even and the odd channels bring
  const side = (first, i) => {
    let sum = 0;
    for (let channel = first; channel < channels.length; channel += 2) sum += channels[channel][i];
    return sum * share;
  };
  for (let k = 0; k < nSteps; k += 1) {
    const end = Math.min(n, (k + 1) * step);
    let power = 0, product = 0;
    for (let i = k * step; i < end; i += 1) {
      const a = side(0, i), b = side(1, i);
      power += a * a + b * b;
      product += a * b;
      mixed[i] = a + b;
    }
    powers[k] = power;
    opposed[k] = -2 * product;
    if (k % AT_ONCE === AT_ONCE - 1) await pause();
  }
  const leaning = Float64Array.from({ length: nSteps }, (_, k) => {
    let power = 0, against = 0;
    for (let past = Math.max(0, k - MEMORY); past <= k; past += 1) {
      power += powers[past];
      against += opposed[past];
    }
    const ratio = power > 0 ? against / power : 0;
    return Math.min(1, Math.max(0, (ratio - OPPOSED) / (ANTIPHASE - OPPOSED)));
  });
  for (let k = 0; k < nSteps - 1; k += 1) {
    if (!leaning[k] && !leaning[k + 1]) continue;
    for (let i = k * step; i < Math.min(n, (k + 1) * step); i += 1) {
      const within = (i - k * step) / step;
      const weight = leaning[k] + within * (leaning[k + 1] - leaning[k]);
      mixed[i] += weight * (side(0, i) - side(1, i));
    }
    if (k % AT_ONCE === AT_ONCE - 1) await pause();
  }
  return mixed;
}
