// The page of a library: search, lists that play on, and tags that a person corrects.

import { Deck } from "./deck.js";
import { $, button, make, save } from "./dom.js";
import * as library from "./library_api.js";
import { Opened } from "./opened.js";
import { askForToken } from "./token_dialog.js";
import { asSentence, capital, clock, shown } from "./words.js";

const PAGE = 50; // songs
const FEW = 6; // tags of a group that are shown at first
const PAUSE = 150; // milliseconds without a key, before it searches
const GROUPS = ["genre", "mood", "instrument", "voice", "era", "other"];

let tags = []; // { tag, group, meaning, expression }
let view = { kind: "songs", expression: "", words: "" };
let songs = []; // lines of the list
let from = null; // the line of the song where a journey is to begin
let asking = null; // AbortController of the newest question
let allFacets = false, counts = {};

const deck = new Deck({
  describe: library.song,
  onPlay: (id) => mark(id),
  onError: complain,
});
const opened = new Opened({
  describe: library.song,
  tags: () => tags,
  correct: library.correct,
  onCorrected: refresh,
  onError: complain,
  onSimilar: (line) => go({ kind: "similar", song: line.id, title: line.title }),
  onJourney(line) {
    if (from && from.id !== line.id) {
      go({ kind: "journey", from: from.id, to: line.id, title: `${from.title} to ${line.title}` });
      from = null;
    } else {
      from = from ? null : line;
    }
    journey();
  },
  journeyWords: (line) => !from ? "Journey from here" : from.id === line.id ? "No journey" : "Journey to here",
});

// ---- what is asked is in the address, so that going back works

function asked() {
  const given = new URLSearchParams(location.hash.slice(1));
  for (const kind of ["similar", "journey"]) {
    if (!given.has(kind)) continue;
    const [first, last] = given.get(kind).split("-");
    const title = given.get("title") ?? "";
    return kind === "similar" ? { kind, song: first, title } : { kind, from: first, to: last, title };
  }
  return { kind: "songs", expression: given.get("expression") ?? "", words: given.get("words") ?? "" };
}

function address({ kind, title, ...wanted }) {
  const given = new URLSearchParams();
  if (kind === "similar") given.set(kind, wanted.song);
  if (kind === "journey") given.set(kind, `${wanted.from}-${wanted.to}`);
  if (kind !== "songs") given.set("title", title);
  else for (const [name, value] of Object.entries(wanted)) if (value) given.set(name, value);
  return `#${given}`;
}

function go(wanted) {
  history.pushState(null, "", address(wanted));
  view = wanted;
  load({ isNew: true });
}

addEventListener("popstate", () => {
  view = asked();
  fill();
  load({ isNew: true });
});

function fill() {
  if (view.kind !== "songs") return;
  $("expression").value = view.expression;
  $("words").value = view.words;
}

// ---- the search

let timer;
for (const name of ["expression", "words"]) {
  $(name).addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(search, PAUSE);
  });
}
$("search").addEventListener("submit", (event) => {
  event.preventDefault();
  clearTimeout(timer);
  search();
});

function search() {
  view = { kind: "songs", expression: $("expression").value.trim(), words: $("words").value.trim() };
  history.replaceState(null, "", address(view) === "#" ? location.pathname : address(view));
  load();
}

async function load({ isNew = false } = {}) {
  asking?.abort();
  asking = new AbortController();
  const mine = view, { title, ...wanted } = view;
  document.body.setAttribute("aria-busy", "true");
  try {
    const found = await library.list(wanted, { limit: PAGE, signal: asking.signal });
    if (mine !== view) return;
    complain("");
    songs = found.songs;
    show(found);
    if (isNew) $("list-title").focus();
  } catch (error) {
    if (error.name === "AbortError") return;
    if (error.status === undefined) throw error;
    if (error.status === 401 && await askForToken()) {
      await start();
      return;
    }
    complain(error.message);
  } finally {
    if (mine === view) document.body.removeAttribute("aria-busy");
  }
}

// The same list again, after a correction: what is open stays open.
async function refresh() {
  if (view.kind !== "songs") return;
  const { counts: now } = await library.list(view, { limit: 1 });
  counts = now;
  facets();
}

$("more").addEventListener("click", async () => {
  const mine = songs, first = songs.length;
  const found = await orComplain(library.list(view, { offset: first, limit: PAGE }));
  if (!found || mine !== songs) return; // it failed, or another list was shown meanwhile
  songs = [...songs, ...found.songs];
  $("songs").append(...found.songs.map(row));
  $("more").hidden = songs.length >= found.total;
  mark(deck.id);
  $("songs").children[first]?.querySelector(".open").focus();
});

$("back").addEventListener("click", () => {
  go({ kind: "songs", expression: $("expression").value.trim(), words: $("words").value.trim() });
});

$("save").addEventListener("click", async () => {
  const { title, ...wanted } = view;
  const name = (title || [wanted.expression, wanted.words].filter(Boolean).join(" ") || "songs")
    .replace(/[^\p{L}\p{N} &'.,-]+/gu, " ").trim().slice(0, 80) || "songs";
  const text = await orComplain(library.playlist(wanted));
  if (text !== null) save(`${name}.m3u8`, "audio/x-mpegurl", text);
});
$("corrections").addEventListener("click", async () => {
  const text = await orComplain(library.corrections());
  if (text !== null) save("corrections.csv", "text/csv", text);
});

// What the server answers; null if it does not, after a word of why.
async function orComplain(answer) {
  try {
    return await answer;
  } catch (error) {
    if (error.status === undefined) throw error;
    complain(error.message);
    return null;
  }
}

function complain(words) {
  $("alert").hidden = !words;
  $("alert").textContent = asSentence(words);
}

// ---- what was found

const plural = (n, word) => `${n.toLocaleString("en")} ${word}${n === 1 ? "" : "s"}`;

function lasting(seconds) {
  const hours = seconds / 3600;
  return hours < 1 ? plural(Math.round(seconds / 60), "minute") : plural(Math.round(hours), "hour");
}

function show(found) {
  const isSearch = view.kind === "songs";
  const total = found.total ?? songs.length;
  const seconds = found.seconds ?? songs.reduce((sum, one) => sum + one.seconds, 0);
  $("list-title").textContent = { songs: "Songs", similar: `Sounds like ${view.title}`,
    journey: `From ${view.title}` }[view.kind];
  $("list-count").textContent = total ? `${plural(total, "song")}, ${lasting(seconds)}` : "No song fits";
  $("live").textContent = $("list-count").textContent;
  $("back").hidden = isSearch;
  $("save").disabled = total === 0;
  opened.close();
  $("songs").replaceChildren(...songs.map(row));
  $("more").hidden = !isSearch || songs.length >= total;
  document.body.dataset.view = view.kind;
  if (isSearch) {
    counts = found.counts;
    facets();
  }
  mark(deck.id);
}

function row(line) {
  const item = make("li", "lib-row");
  item.dataset.id = line.id;
  const play = button("play-row", "", () => deck.play(line.id, songs));
  play.setAttribute("aria-label", `Play ${line.title}`);
  const open = button("open", "", () => opened.toggle(item, open, line));
  open.setAttribute("aria-expanded", "false");
  open.append(make("b", "", line.title));
  const by = [line.artist, line.album].filter(Boolean).join(" · ");
  if (by) open.append(make("span", "words", by));
  const heard = make("span", "heard", line.headline ?? line.tags.map(shown).join(", "));
  const more = line.similarity === undefined ? "" : `${Math.round(100 * line.similarity)}% alike`;
  item.append(play, open, heard, make("span", "alike", more), make("span", "length", clock(line.seconds)));
  return item;
}

function mark(id) {
  const goes = document.body.classList.contains("is-playing");
  for (const item of $("songs").children) {
    const plays = item.dataset.id === String(id);
    item.classList.toggle("plays", plays);
    if (plays) item.setAttribute("aria-current", "true");
    else item.removeAttribute("aria-current");
    const name = item.querySelector(".open b").textContent;
    item.querySelector(".play-row").setAttribute("aria-label", `${plays && goes ? "Pause" : "Play"} ${name}`);
  }
}

function journey() {
  $("journey").hidden = !from;
  $("journey-from").textContent = from?.title ?? "";
  opened.journey();
}
$("journey-stop").addEventListener("click", () => {
  from = null;
  journey();
  $("list-title").focus();
});

// ---- tags with counts

const parts = () => $("expression").value.split(",").map((part) => part.trim()).filter(Boolean);

function facets() {
  const focused = document.activeElement?.dataset?.tag;
  const chosen = new Set(parts());
  const groups = GROUPS.map((group) => [group, tags.filter((one) => one.group === group
    && (counts[one.tag] || chosen.has(one.expression)))]).filter(([, members]) => members.length);
  $("facets").replaceChildren(...groups.map(([group, members]) => {
    members.sort((a, b) => chosen.has(b.expression) - chosen.has(a.expression)
      || (counts[b.tag] ?? 0) - (counts[a.tag] ?? 0));
    const box = make("div", "facet-group");
    const title = make("h3", "", capital(group));
    title.id = `facets-${group}`;
    const list = make("ul");
    list.setAttribute("aria-labelledby", title.id);
    for (const one of members.slice(0, allFacets ? undefined : FEW)) {
      const item = make("li");
      const chip = button("facet", "", () => toggle(one.expression));
      chip.dataset.tag = one.tag;
      chip.title = one.meaning;
      chip.setAttribute("aria-pressed", String(chosen.has(one.expression)));
      chip.append(make("span", "", shown(one.tag)), " ",
        make("b", "", (counts[one.tag] ?? 0).toLocaleString("en")));
      item.append(chip);
      list.append(item);
    }
    box.append(title, list);
    return box;
  }));
  $("more-facets").hidden = groups.every(([, members]) => members.length <= FEW);
  if (focused) {
    [...document.querySelectorAll(".facet")].find((chip) => chip.dataset.tag === focused)?.focus();
  }
}

function toggle(expression) {
  const now = parts();
  $("expression").value = (now.includes(expression) ? now.filter((part) => part !== expression)
    : [...now, expression]).join(", ");
  search();
}
$("more-facets").addEventListener("click", () => {
  allFacets = !allFacets;
  $("more-facets").textContent = allFacets ? "Fewer tags" : "More tags";
  $("more-facets").setAttribute("aria-expanded", String(allFacets));
  facets();
});

// ---- the beginning

async function start() {
  try {
    const known = await library.about();
    tags = known.tags;
    $("model").textContent = `heard by ${known.model}`;
    $("size").textContent = `${plural(known.songs, "song")}, ${lasting(known.seconds)} of music`;
  } catch (error) {
    if (error.status === undefined) throw error;
    if (error.status === 401 && await askForToken()) await start();
    else complain(error.message);
    return;
  }
  view = asked();
  fill();
  await load();
}
await start();
