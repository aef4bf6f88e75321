// Files that are dropped or chosen, and those in dropped folders.

// AUDIO_SUFFIXES of earmark.audio, and films that mostly carry music.
const AUDIO = new RegExp("\\.(aac|ac3|aif|aifc|aiff|alac|amr|ape|au|caf|dff|dsf|dts|eac3|ec3|flac"
  + "|m4a|m4b|m4p|m4r|mka|mp1|mp2|mp3|mp4|mpc|mpga|oga|ogg|opus|ra|rf64|snd|spx|tak|tta|w64|wav|wave|weba|webm|wma|wv)$", "i");

// All files of a drop; of folders those that look like music, in the order of their names. Reads
// the transfer at once: it is empty when the event is over.
export async function dropped(transfer) {
  // a link or a text that is dragged along is an item too, but no file
  const entries = [...transfer.items].filter((item) => item.kind === "file")
    .map((item) => item.webkitGetAsEntry?.() ?? null);
  const files = [...transfer.files];
  const found = await Promise.all(entries.map((entry, i) =>
    entry?.isDirectory ? below(entry) : files[i] ? [files[i]] : []));
  return entries.length ? found.flat() : files;
}

// Those of a chosen folder that look like music.
export const music = (files) => [...files].filter((file) => AUDIO.test(file.name));

async function below(folder) {
  const reader = folder.createReader(), entries = [];
  for (;;) { // a part of them at each call
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) break;
    entries.push(...some);
  }
  entries.sort((a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }));
  const files = [];
  for (const entry of entries) {
    if (entry.isDirectory) files.push(...await below(entry));
    else if (AUDIO.test(entry.name)) {
      files.push(await new Promise((resolve, reject) => entry.file(resolve, reject)));
    }
  }
  return files;
}
