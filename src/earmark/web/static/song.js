// One song: draws the answer of /api/listen, from its JSON alone. `sensitivity` may be left out.

import { Chapters } from "./chapters.js";
import { $, make, save, stem } from "./dom.js";
import { Player } from "./player.js";
import { TagGroups, described } from "./tags.js";
import { Timeline, strongest } from "./timeline.js";
import { measured, verdict } from "./verdict.js";
import { asSentence, capital, clock, percent, shown } from "./words.js";

export class SongView {
  // sensitivity(file, start): asks which regions matter; null where nobody can be asked
  constructor({ sensitivity = null }) {
    this.sensitivity = sensitivity;
    this.song = null; // { file, result, card, windows }
    this.timeline = new Timeline({
      onSeek: (seconds) => this.player.seek(seconds), onTag: (tag) => this.choose(tag),
    });
    this.chapters = new Chapters((seconds) => this.player.playFrom(seconds, Infinity));
    this.player = new Player((seconds) => this.moved(seconds));
    this.tags = new TagGroups((tag) => this.choose(tag));
    this.listen();
  }

  // file: the sound, or null where it was not kept; card: of the model that heard it
  async show({ file, result, card }, at = 0) {
    this.song = { file, result, card, windows: new Map() };
    const { song, headline } = result;
    $("song").hidden = false;
    document.title = `${song.path} · earmark`;
    $("song-name").textContent = `${song.path} · ${clock(song.seconds)}`;
    const [before, genre, after] = verdict(song, headline);
    $("verdict").replaceChildren(before, ...(genre ? [make("em", "", genre)] : []), after);
    const warnings = (song.warnings ?? []).map((one) => `${capital(one.message)}.`).join(" ");
    $("warnings").textContent = warnings;
    $("warnings").hidden = !warnings;
    const cell = result.taggram.seconds[1] ?? result.taggram.duration;
    $("cell").textContent = `${cell.toFixed(1)} seconds`;
    $("legend").textContent = legend(song.tags);
    this.tags.load(song, card);
    this.unfold(!headline);
    $("anyway").hidden = !headline;
    this.similar(result.similar);
    this.chapters.load(result);
    await this.timeline.load(result, song.tags);
    $("most").textContent = percent(this.timeline.most);
    await this.choose(null);
    this.player.load(file, result.taggram.duration);
    if (at) this.player.seek(at);
    const told = song.tags.filter(measured);
    const found = headline ? `${headline}.` : `Strongest: ${(told.length ? told : song.tags).slice(0, 5)
      .map((tag) => `${shown(tag.tag)} ${percent(tag.score)}`).join(", ")}.`;
    $("live").textContent =
      `Heard ${clock(song.seconds)} of ${song.path}. ${found} ${warnings}`.trim();
    $("main").focus({ preventScroll: true });
  }

  stop() {
    this.player.stop();
  }

  unfold(isOpen) {
    $("groups").hidden = !isOpen;
    $("legend").hidden = !isOpen;
    $("anyway").setAttribute("aria-expanded", String(isOpen));
    $("anyway").textContent = isOpen ? "Hide the tags" : "Show its tags all the same";
  }

  similar(songs) {
    $("similar").hidden = !songs?.length;
    $("similar-list").replaceChildren(...(songs ?? []).map((one) => {
      const item = make("li");
      item.append(make("span", "name", one.title), make("b", "", percent(one.similarity)));
      return item;
    }));
  }

  moved(seconds) {
    this.timeline.at(seconds);
    this.chapters.at(seconds);
    const whole = Math.floor(seconds);
    $("moment").textContent = `Link to ${clock(whole)}`;
    $("moment").href = `#${new URLSearchParams({ song: this.song.result.song.path, t: whole })}`;
  }

  async choose(tag) {
    if (tag !== null && tag === this.timeline.tag) tag = null;
    this.tags.select(tag);
    await this.timeline.select(tag);
    $("sensitivity").setAttribute("aria-pressed", "false");
    $("sensitivity").hidden = !this.sensitivity || !this.song.file;
    $("sensitivity-words").hidden = true;
    if (tag === null) return;
    const { result, card } = this.song;
    const heard = result.song.tags.find((one) => one.tag === tag);
    const [start, end] = strongest(result.taggram, tag);
    $("detail-words").textContent =
      described(heard, card.tags.find((one) => one.tag === tag));
    $("strongest").textContent = `Play ${clock(start)} to ${clock(end)}, where it is strongest`;
    $("strongest").hidden = !this.player.canPlay;
  }

  listen() {
    $("anyway").addEventListener("click", () => this.unfold($("groups").hidden));
    $("strongest").addEventListener("click", () =>
      this.player.playFrom(...strongest(this.song.result.taggram, this.timeline.tag)));
    addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !this.timeline.tag) return;
      const chip = this.tags.chips.get(this.timeline.tag);
      this.choose(null);
      chip?.focus();
    });
    $("sensitivity").addEventListener("click", () => this.ask());
    $("more-rows").addEventListener("click", (event) => {
      const all = event.currentTarget.getAttribute("aria-pressed") !== "true";
      event.currentTarget.setAttribute("aria-pressed", String(all));
      this.timeline.showRows(all);
    });
    $("save-json").addEventListener("click", () => {
      const { song, taggram, chapters } = this.song.result;
      const text = JSON.stringify({ ...song, taggram, chapters }, null, 2);
      save(`${stem(song.path)}.json`, "application/json", `${text}\n`);
    });
    $("save-csv").addEventListener("click", () => {
      const { song, csv } = this.song.result;
      save(`${stem(song.path)}.csv`, "text/csv", csv);
    });
  }

  // Shows which regions of a window the chosen tag depends on, or hides them.
  async ask() {
    const button = $("sensitivity"), words = $("sensitivity-words");
    if (button.getAttribute("aria-pressed") === "true") {
      button.setAttribute("aria-pressed", "false");
      words.hidden = true;
      await this.timeline.overlay(null);
      return;
    }
    const { tag } = this.timeline, mine = this.song;
    const { window_seconds: window, taggram } = mine.result;
    const [from, to] = strongest(taggram, tag);
    const start = Math.min(Math.max(0, taggram.duration - window), Math.max(0, (from + to - window) / 2));
    button.setAttribute("aria-pressed", "true");
    words.hidden = false;
    words.textContent = "Muting one region after the other …";
    try {
      const key = start.toFixed(3);
      if (!mine.windows.has(key)) mine.windows.set(key, await this.sensitivity(mine.file, start));
      if (this.timeline.tag !== tag || this.song !== mine) return;
      await this.timeline.overlay(mine.windows.get(key));
      words.textContent = `Yellow in the picture: without this sound the model hears less ${shown(tag)}; `
        + "blue: more. It shows what the model reacts to, and does not prove a cause.";
    } catch (error) {
      if (error.status === undefined) throw error;
      button.setAttribute("aria-pressed", "false");
      words.textContent = asSentence(error.message);
    }
  }
}

function legend(tags) {
  const sure = tags.some((one) => one.calibrated)
    ? "Percentages are checked: of all songs that get 30%, about 30 in 100 carry the tag."
    : "The percentages of this model were not checked: they put the tags in order, no more.";
  const known = tags.some(measured) ? "" : " How well it knows each tag was not measured.";
  const order = tags.some((tag) => tag.lift != null)
    ? " The order weighs how rare a tag is: a rare one says more than a common one of the same score."
    : "";
  return sure + known + order;
}
