// The sampling rate that the beginning of a file states: a browser decodes to a rate of our choice,
// and resamples with less care than we do.

const MPEG_RATES = [44_100, 48_000, 32_000];
const AAC_RATES = [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000,
  11_025, 8_000];
const OPUS_RATE = 48_000; // whatever its header says

// Hz of WAV, AIFF, FLAC, Ogg, MP3, AAC and MP4; null where it cannot be told.
export function rateOf(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  try {
    return sane(stated(bytes, view));
  } catch (error) {
    if (error instanceof RangeError) return null; // the file ends within a header
    throw error;
  }
}

const sane = (rate) => (rate >= 3_000 && rate <= 768_000 ? rate : null);

function stated(bytes, view) {
  const word = (at) => String.fromCharCode(...bytes.subarray(at, at + 4));
  let at = 0;
  while (word(at).startsWith("ID3")) { // of MP3, and of some FLAC
    at += 10 + bytes.subarray(at + 6, at + 10).reduce((sum, byte) => sum * 128 + (byte & 127), 0);
  }
  if (word(at) === "fLaC") {
    return (bytes[at + 18] << 12) | (bytes[at + 19] << 4) | (bytes[at + 20] >> 4);
  }
  if (word(at) === "OggS") return ofOgg(bytes, view, word, at);
  if (word(at) === "RIFF") {
    const format = chunk(view, word, at + 12, true, "fmt ");
    return format === null ? null : view.getUint32(format + 4, true);
  }
  if (word(at) === "FORM") {
    const common = chunk(view, word, at + 12, false, "COMM");
    return common === null ? null : extended(view, common + 8);
  }
  if (word(at + 4) === "ftyp") return ofMp4(view, word);
  return ofFrames(bytes, at);
}

// Where the content of a chunk begins, among those from `at` on.
function chunk(view, word, at, isLittle, name) {
  while (at + 8 <= view.byteLength) {
    if (word(at) === name) return at + 8;
    const size = view.getUint32(at + 4, isLittle);
    at += 8 + size + (size % 2);
  }
  return null;
}

// A whole number in the 80 bits of AIFF.
const extended = (view, at) =>
  Math.round(view.getUint32(at + 2) * 2 ** ((view.getUint16(at) & 0x7fff) - 16_383 - 31));

function ofOgg(bytes, view, word, at) {
  const packet = at + 27 + bytes[at + 26];
  if (word(packet) === "Opus") return OPUS_RATE;
  if (word(packet + 1) === "vorb") return view.getUint32(packet + 12, true);
  if (word(packet + 1) === "FLAC") { // behind its own header, the one of FLAC
    const first = packet + 27;
    return (bytes[first] << 12) | (bytes[first + 1] << 4) | (bytes[first + 2] >> 4);
  }
  return null;
}

// The entry of the first sound track: moov, trak, mdia, minf, stbl, stsd.
function ofMp4(view, word) {
  const boxes = function* (start, end) {
    for (let at = start; at + 8 <= end;) {
      let size = view.getUint32(at), head = 8;
      if (size === 1) [size, head] = [Number(view.getBigUint64(at + 8)), 16];
      if (size === 0) size = end - at;
      if (size < head) return;
      yield { name: word(at + 4), start: at + head, end: Math.min(end, at + size) };
      at += size;
    }
  };
  const within = (box, ...names) => {
    if (!names.length) return [box];
    return [...boxes(box.start, box.end)].filter((one) => one.name === names[0])
      .flatMap((one) => within(one, ...names.slice(1)));
  };
  const file = { start: 0, end: view.byteLength };
  for (const table of within(file, "moov", "trak", "mdia", "minf", "stbl", "stsd")) {
    const kind = word(table.start + 12);
    if (["mp4a", "alac", "fLaC"].includes(kind)) return view.getUint32(table.start + 40) >>> 16;
    if (kind === "Opus") return OPUS_RATE;
  }
  return null;
}

// MP3 and AAC without a container: the first frame that another of its kind follows.
function ofFrames(bytes, start) {
  const end = Math.min(bytes.length - 6, start + 65_536);
  for (let at = start; at < end; at += 1) {
    const one = frame(bytes, at);
    if (one && frame(bytes, at + one.length)?.rate === one.rate) return one.rate;
  }
  return null;
}

function frame(bytes, at) {
  if (bytes[at] !== 0xff || (bytes[at + 1] & 0xe0) !== 0xe0) return null;
  const second = bytes[at + 1], third = bytes[at + 2];
  if ((second & 0xf6) === 0xf0) { // ADTS
    const rate = AAC_RATES[(third >> 2) & 15];
    const length = ((bytes[at + 3] & 3) << 11) | (bytes[at + 4] << 3) | (bytes[at + 5] >> 5);
    return rate && length > 7 ? { rate, length } : null;
  }
  const version = (second >> 3) & 3, layer = 4 - ((second >> 1) & 3); // version 3: MPEG-1
  const index = third >> 4, place = (third >> 2) & 3;
  if (version === 1 || layer === 4 || index === 0 || index === 15 || place === 3) return null;
  const rate = MPEG_RATES[place] / { 3: 1, 2: 2, 0: 4 }[version];
  const kbit = bitRate(version === 3, layer, index);
  const spare = (third >> 1) & 1;
  const length = layer === 1 ? 4 * (Math.floor((12_000 * kbit) / rate) + spare)
    : Math.floor(((layer === 3 && version !== 3 ? 72_000 : 144_000) * kbit) / rate) + spare;
  return { rate, length };
}

function bitRate(isFirst, layer, index) {
  if (layer === 1 && isFirst) return 32 * index;
  const steps = {
    "1,2": [32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384],
    "1,3": [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
    "0,1": [32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256],
    "0,2": [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
    "0,3": [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
  };
  return steps[`${Number(isFirst)},${layer}`][index - 1];
}
