// The player of a list: it plays on, in the original file or, where the browser cannot, in Opus.

import { $ } from "./dom.js";
import { clock } from "./words.js";

const STEP = 5; // seconds, of the arrow keys

export class Deck {
  // describe(id): the promise of a song with `audio`, `opus` and `seconds`; onPlay(id), at each
  // start and stop too; onError(words)
  constructor({ describe, onPlay, onError }) {
    Object.assign(this, { describe, onPlay, onError, audio: $("audio"), list: [], id: null });
    $("play").addEventListener("click", () => this.toggle());
    $("previous").addEventListener("click", () => this.step(-1));
    $("next").addEventListener("click", () => this.step(1));
    $("position").addEventListener("input", (event) => {
      this.audio.currentTime = Number(event.target.value);
    });
    for (const name of ["play", "pause"]) {
      this.audio.addEventListener(name, () => {
        document.body.classList.toggle("is-playing", !this.audio.paused);
        this.onPlay(this.id);
        this.show();
      });
    }
    this.audio.addEventListener("timeupdate", () => this.show());
    this.audio.addEventListener("ended", () => this.step(1));
    this.audio.addEventListener("error", () => this.instead());
    document.addEventListener("keydown", (event) => this.key(event));
  }

  // list: the songs that follow each other, one of them with this id
  async play(id, list) {
    if (id === this.id) {
      this.list = list;
      this.toggle();
      return;
    }
    Object.assign(this, { id, list });
    const line = list.find((one) => one.id === id);
    $("deck").hidden = false;
    $("playing").textContent = line.title;
    $("playing-by").textContent = line.artist;
    document.title = `${line.title} · earmark`;
    this.seconds = line.seconds;
    this.song = null;
    this.audio.removeAttribute("src"); // what played before does not go on under another title
    this.audio.load();
    this.onPlay(id);
    try {
      const song = await this.describe(id);
      if (id !== this.id) return; // another was chosen meanwhile
      this.song = song;
      this.triesOpus = !this.audio.canPlayType(song.type);
      this.load(this.triesOpus ? song.opus : song.audio);
    } catch (error) {
      if (error.status === undefined) throw error;
      this.onError(error.message);
    }
  }

  load(address) {
    this.audio.src = address;
    this.audio.play().catch(() => {}); // an error of the file is told by its own event
    this.show();
  }

  // The browser could not play it after all.
  instead() {
    if (!this.song || !this.audio.getAttribute("src")) return;
    if (!this.triesOpus) {
      this.triesOpus = true;
      this.load(this.song.opus);
      return;
    }
    this.onError(`${this.song.title} cannot be played: its file is gone or damaged`);
    this.step(1);
  }

  // Whether there is such a song.
  step(by) {
    const place = this.list.findIndex((one) => one.id === this.id) + by;
    const next = this.list[place];
    if (next) this.play(next.id, this.list);
    return next !== undefined;
  }

  toggle() {
    if (this.audio.paused) this.audio.play().catch(() => {});
    else this.audio.pause();
  }

  show() {
    const plays = !this.audio.paused;
    const length = Number.isFinite(this.audio.duration) ? this.audio.duration : this.seconds;
    $("play").classList.toggle("plays", plays);
    $("play").setAttribute("aria-label", plays ? "Pause" : "Play");
    $("now").textContent = clock(this.audio.currentTime);
    $("length").textContent = clock(length);
    $("position").max = length;
    $("position").value = this.audio.currentTime;
    $("position").setAttribute("aria-valuetext", `${clock(this.audio.currentTime)} of ${clock(length)}`);
    const place = this.list.findIndex((one) => one.id === this.id);
    $("previous").disabled = place <= 0;
    $("next").disabled = place < 0 || place === this.list.length - 1;
  }

  key(event) {
    if (!this.id || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, select, textarea, dialog")) return;
    if (event.key === " " && !event.target.closest("button, a, label, summary")) this.toggle();
    else if (event.key === "ArrowLeft") this.audio.currentTime -= STEP;
    else if (event.key === "ArrowRight") this.audio.currentTime += STEP;
    else return;
    event.preventDefault();
  }
}
