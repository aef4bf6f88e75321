// The page: files come in, go through the queue, and are listed, opened and compared.

import { listen, models, sensitivity } from "./api.js";
import { compare } from "./compare.js";
import { $, make, save } from "./dom.js";
import { dropped, music } from "./files.js";
import * as history from "./history.js";
import { SongList } from "./list.js";
import { Queue } from "./queue.js";
import { SongView } from "./song.js";
import { askForToken } from "./token_dialog.js";
import { asSentence, capital, clock } from "./words.js";

const WORDS = {
  waiting: "Waiting for", sending: "Sending", decoding: "Decoding", listening: "Listening to",
};

let card = null; // of the model
const entries = []; // { key, name, file, state, done, message, added, line, headline, answer }
let open = null, picked = [];
let wanted = null; // the entry that opens as soon as it was heard

const view = new SongView({ sensitivity });
const list = new SongList($("list"), { onOpen: openEntry, onCompare: pick, onRemove: remove });
const queue = new Queue({
  listen,
  onToken: askForToken,
  onLess: counted,
  onChange(entry) {
    list.show(entry);
    progress(entry);
    if (entry.state === "failed" && entry === wanted) {
      wanted = null;
      // the name of a file stays as it is
      complain(entry.message.startsWith(entry.name) ? entry.message : capital(entry.message));
    }
  },
  async onHeard(entry, result) {
    card ?? await meet();
    const { song: line, headline } = result;
    Object.assign(entry, { state: "heard", line, headline, answer: { result, card } });
    list.show(entry);
    keep(entry);
    if (entry === wanted) await openEntry(entry);
    else if (queue.length <= 1) {
      const n = heard().length;
      $("live").textContent = n === 1 ? "Heard 1 song" : `Heard ${n} songs`;
    }
  },
});

// ---- songs come in

for (const [id, chosen] of [["file", (files) => [...files]], ["folder", music]]) {
  $(id).addEventListener("change", (event) => {
    take(chosen(event.target.files));
    event.target.value = ""; // so that the same file may be chosen again
  });
}
for (const control of document.querySelectorAll("[data-chooses]")) {
  control.addEventListener("click", () => $(control.dataset.chooses).click());
}

let inside = 0; // elements that a dragged file is over
const carriesFile = (event) => event.dataTransfer?.types.includes("Files");
addEventListener("dragenter", (event) => {
  if (carriesFile(event)) document.body.classList.toggle("is-over", (inside += 1) > 0);
});
addEventListener("dragleave", (event) => {
  if (carriesFile(event)) document.body.classList.toggle("is-over", (inside -= 1) > 0);
});
addEventListener("dragover", (event) => carriesFile(event) && event.preventDefault());
addEventListener("drop", async (event) => {
  if (!carriesFile(event)) return;
  event.preventDefault();
  inside = 0;
  document.body.classList.remove("is-over");
  take(await dropped(event.dataTransfer));
});

// What was kept need not lie in memory too: hundreds of songs would not fit.
async function keep(entry) {
  const { key, name, added, line, headline, answer: { result, card: its } } = entry;
  if (await history.keep({ key, name, added, line, headline }, result, its)) delete entry.answer;
  if (!entries.some((one) => one.key === key)) history.forget(key); // forgotten meanwhile
}

function take(files) {
  if (!files.length) {
    complain("There is no music in what was chosen");
    return;
  }
  complain("");
  view.stop();
  const known = new Map(entries.map((one) => [one.key, one]));
  const taken = files.map((file) => {
    const key = [file.name, file.size, file.lastModified].join("|");
    const entry = known.get(key) ?? { key, name: file.name };
    known.set(key, entry);
    entry.file = file;
    if (!entries.includes(entry)) entries.push(entry);
    return entry;
  });
  wanted = taken.length === 1 ? taken[0] : null;
  for (const entry of new Set(taken)) {
    if (entry.line || ["waiting", "sending", "decoding", "listening"].includes(entry.state)) continue;
    entry.added = Date.now() + entries.indexOf(entry) / 1000;
    queue.add(entry);
  }
  counted();
  if (wanted?.line) openEntry(wanted); // heard before
}

$("cancel").addEventListener("click", () => {
  queue.stop();
  counted();
  $("live").textContent = "Stopped";
  $("main").focus(); // the button is about to go
});

let stage = "";
function progress(entry) {
  const left = queue.length;
  $("progress").hidden = left === 0;
  if (!(entry.state in WORDS) || (wanted && entry !== wanted)) return;
  const words = WORDS[entry.state];
  if (entry.state !== "waiting" && `${words} ${entry.name}` !== stage) {
    stage = `${words} ${entry.name}`;
    if (left === 1) $("live").textContent = stage;
  }
  $("progress-words").textContent = words;
  $("progress-name").textContent = entry.name;
  $("progress-left").textContent = left > 1 ? `· ${left} songs to go` : "";
  const bar = $("progress-bar");
  bar.classList.toggle("is-endless", entry.done === null);
  bar.style.setProperty("--done", entry.done ?? 1);
  if (entry.done === null) bar.removeAttribute("aria-valuenow");
  else bar.setAttribute("aria-valuenow", String(Math.round(100 * entry.done)));
}

function complain(words) {
  $("alert").hidden = !words;
  $("alert").textContent = asSentence(words);
}

// ---- the list

const heard = () => entries.filter((one) => one.line);

function counted() {
  const n = heard().length, failed = entries.filter((one) => one.state === "failed").length;
  $("songs").hidden = $("to-songs").hidden = entries.length === 0;
  $("to-songs").textContent = entries.length === 1 ? "1 song" : `${entries.length} songs`;
  document.body.classList.toggle("has-songs", entries.length > 0);
  $("songs-count").textContent = [n === 1 ? "1 heard" : `${n} heard`,
    ...(queue.length ? [`${queue.length} to go`] : []),
    ...(failed ? [`${failed} failed`] : [])].join(", ");
  for (const id of ["all-json", "all-csv"]) $(id).disabled = n === 0;
  $("progress").hidden = queue.length === 0;
  list.mark(open, picked);
}

async function openEntry(entry, at = 0) {
  wanted = null;
  const answer = entry.answer ?? await history.answer(entry.key);
  if (!answer && entry.file) { // one of very many
    delete entry.line;
    wanted = entry;
    queue.add(entry);
    return;
  }
  if (!answer) {
    complain(`This browser no longer has ${entry.name}. Drop it again`);
    return;
  }
  complain("");
  view.stop();
  open = entry;
  document.body.dataset.state = "song";
  list.mark(open, picked);
  await view.show({ file: entry.file ?? null, ...answer }, at);
  $("song").scrollIntoView({ block: "start" });
}

function pick(entry, isPicked) {
  picked = picked.filter((one) => one !== entry);
  if (isPicked) picked = [...picked, entry].slice(-2);
  list.mark(open, picked);
  $("compare").hidden = picked.length < 2;
  if (picked.length === 2) {
    compare(picked);
    $("compare").scrollIntoView({ block: "nearest" });
    $("live").textContent = `Compared: ${picked[0].name} and ${picked[1].name}`;
  }
}
$("compare-close").addEventListener("click", () => {
  for (const entry of [...picked]) pick(entry, false);
  $("main").focus();
});

function remove(entry) {
  queue.remove(entry);
  if (entry === wanted) wanted = null;
  pick(entry, false);
  list.remove(entry);
  entries.splice(entries.indexOf(entry), 1);
  history.forget(entry.key);
  if (entry === open) close();
  counted();
  $("main").focus({ preventScroll: true });
}

function close() {
  view.stop();
  open = null;
  $("song").hidden = true;
  document.body.dataset.state = "empty";
  document.title = "earmark";
}

$("all-clear").addEventListener("click", async () => {
  queue.stop();
  for (const entry of [...entries]) list.remove(entry);
  entries.length = 0;
  for (const entry of [...picked]) pick(entry, false);
  close();
  counted();
  $("main").focus({ preventScroll: true });
  await history.forgetAll();
  $("live").textContent = "Forgotten"; // not before it is
});
$("all-json").addEventListener("click", () => save("songs.json", "application/json",
  `${JSON.stringify(heard().map((one) => one.line), null, 2)}\n`));
$("all-csv").addEventListener("click", () => save("songs.csv", "text/csv", table()));

// One row a song: its facts, then the score of each tag.
function table() {
  const tags = [...new Set(heard().flatMap(({ line }) => line.tags.map((tag) => tag.tag)))];
  const rows = heard().map(({ line }) => {
    const score = new Map(line.tags.map((tag) => [tag.tag, tag.score]));
    return [line.path, line.seconds, line.model, line.kind, line.first_genre ?? "",
      ...tags.map((tag) => score.get(tag) ?? "")];
  });
  const cell = (value) => /[",\r\n]/.test(value) ? `"${String(value).replaceAll('"', '""')}"` : value;
  return [["path", "seconds", "model", "kind", "first_genre", ...tags], ...rows]
    .map((row) => `${row.map(cell).join(",")}\r\n`).join("");
}

// ---- a link to a moment: #song=NAME&t=SECONDS

async function follow() {
  const asked = new URLSearchParams(location.hash.slice(1));
  if (!asked.has("song")) return;
  const name = asked.get("song"), at = Number(asked.get("t")) || 0;
  const entry = entries.findLast((one) => one.line?.path === name);
  if (!entry) {
    complain(`This link leads to ${clock(at)} of ${name}. Drop that song here, then follow it again`);
  } else if (entry === open) {
    view.player.seek(at);
  } else {
    await openEntry(entry, at);
  }
}
addEventListener("hashchange", follow);

// ---- the model, and the token

async function meet() {
  [card] = await models();
  const n = card.tags.filter((one) => one.group !== "sound").length;
  $("model").textContent = `${card.name} · ${n} tags`;
}

// The picture beside the drop zone: a tag whose bars nobody has heard yet.
function hero() {
  for (let i = 0; i < 44; i += 1) {
    const bar = make("i");
    const swell = Math.sin((Math.PI * (i + 1.5)) / 47) ** 0.7;
    const height = (Math.abs(Math.sin(i * 0.83) * Math.cos(i * 0.29 + 0.4)) * 64 + 12) * swell;
    bar.style.setProperty("--height", `${height}%`);
    bar.style.setProperty("--delay", `${-(i % 11) * 0.23}s`);
    $("hero").append(bar);
  }
}

hero();
meet().catch((error) => {
  if (!error.status) complain(error.message); // a token is asked for with the first song
});
for (const one of (await history.lines()).reverse()) {
  if (entries.some((entry) => entry.key === one.key)) continue;
  const entry = { ...one, state: "heard" };
  entries.push(entry);
  list.show(entry);
}
counted();
await follow();
