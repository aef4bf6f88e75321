// The page: from a file that is dropped to what is heard in it.

import { listen, models, sensitivity, setToken, Refused } from "./api.js";
import { Chips, make, measured, trust } from "./chips.js";
import { Player } from "./player.js";
import { Timeline, strongest } from "./timeline.js";
import { clock, listed, percent, times } from "./words.js";

const $ = (id) => document.getElementById(id);
const WORDS = {
  sending: "Sending", decoding: "Decoding", listening: "Listening to",
};
const SURE = 0.3; // least score of a mood, an era, a voice in the headline
const VOICES = {
  "female vocalists": "a woman sings", "female vocalist": "a woman sings",
  "male vocalists": "a man sings", instrumental: "no voice", choir: "a choir",
};

let card = null; // of the model
let song = null; // { file, result, windows }: what is shown, and sensitivities by their start
let underWay = null;

const timeline = new Timeline({ onSeek: (seconds) => player.seek(seconds), onTag: choose });
const player = new Player((seconds) => timeline.at(seconds));
const chips = new Chips(choose);

// ---- a song comes in

$("file").addEventListener("change", (event) => {
  const [file] = event.target.files;
  event.target.value = ""; // so that the same file may be chosen again
  if (file) hear(file);
});

$("another").addEventListener("click", () => $("file").click());
$("cancel").addEventListener("click", () => {
  underWay?.cancel();
  $("live").textContent = "Stopped";
  $("main").focus(); // the button is about to go
});

let inside = 0; // elements that a dragged file is over
const carriesFile = (event) => event.dataTransfer?.types.includes("Files");
addEventListener("dragenter", (event) => {
  if (carriesFile(event)) document.body.classList.toggle("is-over", (inside += 1) > 0);
});
addEventListener("dragleave", (event) => {
  if (carriesFile(event)) document.body.classList.toggle("is-over", (inside -= 1) > 0);
});
addEventListener("dragover", (event) => carriesFile(event) && event.preventDefault());
addEventListener("drop", (event) => {
  if (!carriesFile(event)) return;
  event.preventDefault();
  inside = 0;
  document.body.classList.remove("is-over");
  const [file] = event.dataTransfer.files;
  if (file) hear(file);
});

async function hear(file) {
  underWay?.cancel();
  player.stop();
  complain("");
  let stage = "";
  const follow = (now, done) => {
    if (now !== stage) $("live").textContent = `${WORDS[now]} ${file.name}`;
    stage = now;
    progress(WORDS[now], file.name, done);
  };
  follow("sending", 0);
  const mine = listen(file, follow);
  underWay = mine;
  try {
    const [result] = await Promise.all([mine.result, card ?? meet()]);
    if (underWay === mine) await show(file, result);
  } catch (error) {
    if (underWay !== mine || error.name === "AbortError") return;
    if (!(error instanceof Refused)) throw error;
    if (error.status === 401) {
      if (await askForToken()) {
        hear(file);
        return;
      }
    }
    // the name of a file stays as it is
    complain(error.message.startsWith(file.name) ? error.message : capital(error.message));
  } finally {
    if (underWay === mine) $("progress").hidden = true;
  }
}

function progress(words, name, done) {
  $("progress").hidden = false;
  $("progress-words").textContent = words;
  $("progress-name").textContent = name;
  const bar = $("progress-bar");
  bar.classList.toggle("is-endless", done === null);
  bar.style.setProperty("--done", done ?? 1);
  if (done === null) bar.removeAttribute("aria-valuenow");
  else bar.setAttribute("aria-valuenow", String(Math.round(100 * done)));
}

function complain(words) {
  $("alert").hidden = !words;
  $("alert").textContent = words && `${words}.`;
}

// ---- what was heard

async function show(file, result) {
  song = { file, result, windows: new Map() };
  document.body.dataset.state = "song";
  $("song").hidden = false;
  document.title = `${result.song.path} · earmark`;
  $("song-name").textContent = `${result.song.path} · ${clock(result.song.seconds)}`;
  $("verdict").replaceChildren(...verdict(result));
  const warnings = (result.song.warnings ?? []).map((one) => `${capital(one.message)}.`).join(" ");
  $("warnings").textContent = warnings;
  $("warnings").hidden = !warnings;
  const cell = result.taggram.seconds[1] ?? result.taggram.duration;
  $("cell").textContent = `${cell.toFixed(1)} seconds`;
  $("legend").textContent = legend();
  chips.load(result.song, card);
  similar(result.similar);
  await timeline.load(result);
  $("most").textContent = percent(timeline.most);
  await choose(null);
  player.load(file, result.taggram.duration);
  const found = result.headline ? `${result.headline}.` : `Strongest: ${result.song.tags.slice(0, 5)
    .map((tag) => `${tag.tag} ${percent(tag.score)}`).join(", ")}.`;
  $("live").textContent =
    `Heard ${clock(result.song.seconds)} of ${result.song.path}. ${found} ${warnings}`.trim();
  $("main").focus({ preventScroll: true });
}

// The headline: what the server says in place of the tags; or the genre, then mood, era and voice.
function verdict({ headline, song: { tags, first_genre: genre } }) {
  if (headline) return [`${headline}.`];
  const untold = !card.tags.some(measured);
  const beside = ["mood", "era", "voice"].flatMap((group) => tags.find((tag) =>
    tag.group === group && tag.score >= SURE && !(tag.lift < 1) && (untold || measured(tag))) ?? []);
  const words = beside.map((tag) => VOICES[tag.tag] ?? tag.tag);
  if (!genre && !tags.some((tag) => tag.group === "genre")) { // another vocabulary
    return ["It hears ", make("em", "", listed(tags.slice(0, 3).map((tag) => tag.tag))), "."];
  }
  const first = genre ? [make("em", "", genre)] : ["music, and is not sure of the genre"];
  return ["It hears ", ...first, words.length ? `: ${words.join(", ")}.` : "."];
}

function legend() {
  const n = card.tags.filter((one) => one.calibrated).length;
  const sure = n
    ? `${n} tags are calibrated: of all songs with 30%, about 30% carry the tag.`
    : "This model's percentages are not calibrated: they rank the tags, but are not probabilities.";
  const known = card.tags.some((tag) => tag.reliability !== null)
    ? "Dots: how well the tag is recognised in songs the model never saw (ROC-AUC from .7, .8, .9)."
    : "The reliability of this model's tags was not measured.";
  const dim = card.tags.some(measured) && !card.tags.every(measured)
    ? " Pale tags were never compared with labels." : "";
  return `${sure} 2× is twice as likely as in an average song. ${known}${dim}`;
}

function similar(songs) {
  $("similar").hidden = !songs?.length;
  $("similar-list").replaceChildren(...(songs ?? []).map((one) => {
    const item = make("li");
    item.append(make("span", "name", one.title), make("b", "", percent(one.similarity)));
    return item;
  }));
}

// ---- one tag

async function choose(tag) {
  if (tag !== null && tag === timeline.tag) tag = null;
  chips.select(tag);
  await timeline.select(tag);
  $("detail").hidden = tag === null;
  $("sensitivity").setAttribute("aria-pressed", "false");
  $("sensitivity-words").hidden = true;
  if (tag === null) return;
  const heard = song.result.song.tags.find((one) => one.tag === tag);
  const known = card.tags.find((one) => one.tag === tag);
  const [start, end] = strongest(song.result.taggram, tag);
  $("detail-tag").textContent = tag;
  if (innerWidth <= 980) $("detail").scrollIntoView({ block: "nearest", behavior: "smooth" });
  const beside = heard.lift == null ? ""
    : `, ${times(heard.lift)} that of an average song; ${percent(known.prior)} of all songs carry it`;
  $("detail-words").textContent = `${percent(heard.score)} over the whole song${beside}. `
    + `Strongest from ${clock(start)} to ${clock(end)}. ${capital(trust(known.reliability))}.`;
  $("detail-meaning").textContent = known.meaning && `${capital(known.meaning)}.`;
}

$("detail-close").addEventListener("click", () => choose(null));
$("strongest").addEventListener("click", () =>
  player.playFrom(...strongest(song.result.taggram, timeline.tag)));
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && timeline.tag) choose(null);
});

$("sensitivity").addEventListener("click", async () => {
  const button = $("sensitivity"), words = $("sensitivity-words");
  if (button.getAttribute("aria-pressed") === "true") {
    button.setAttribute("aria-pressed", "false");
    words.hidden = true;
    await timeline.overlay(null);
    return;
  }
  const { tag } = timeline, mine = song;
  const window = mine.result.window_seconds, [from, to] = strongest(mine.result.taggram, tag);
  const latest = Math.max(0, mine.result.taggram.duration - window);
  const start = Math.min(latest, Math.max(0, (from + to - window) / 2));
  button.setAttribute("aria-pressed", "true");
  words.hidden = false;
  words.textContent = "Muting one region after the other …";
  try {
    const key = start.toFixed(3);
    if (!mine.windows.has(key)) mine.windows.set(key, await sensitivity(mine.file, start));
    if (timeline.tag !== tag || song !== mine) return;
    await timeline.overlay(mine.windows.get(key));
    words.textContent = `Yellow: muting this region makes ${tag} less likely; blue: more. `
      + "It shows what the model is sensitive to, and does not prove a cause.";
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    button.setAttribute("aria-pressed", "false");
    words.textContent = `${error.message}.`;
  }
});

$("more-rows").addEventListener("click", (event) => {
  const all = event.currentTarget.getAttribute("aria-pressed") !== "true";
  event.currentTarget.setAttribute("aria-pressed", String(all));
  timeline.showRows(all);
});

// ---- taking it along

$("save-json").addEventListener("click", () => {
  const { song: line, taggram } = song.result;
  save("json", "application/json", `${JSON.stringify({ ...line, taggram }, null, 2)}\n`);
});
$("save-csv").addEventListener("click", () => save("csv", "text/csv", song.result.csv));

function save(suffix, type, text) {
  const link = make("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = `${song.result.song.path.replace(/\.[^.]*$/, "")}.${suffix}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

// ---- the model, and the token

async function meet() {
  [card] = await models();
  const n = card.tags.filter((one) => one.group !== "sound").length;
  $("model").textContent = `${card.name} · ${n} tags`;
}

// Whether one was given; Escape gives none.
async function askForToken() {
  $("token-dialog").showModal();
  await new Promise((resolve) => {
    $("token-dialog").addEventListener("close", resolve, { once: true });
  });
  const given = $("token").value;
  $("token").value = "";
  if (given) setToken(given);
  return given !== "";
}

const capital = (text) => text[0].toUpperCase() + text.slice(1);

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
  if (!(error instanceof Refused)) complain("The server does not answer. Is it running?");
});
