// The sound, and where it is. A song that the browser cannot play still has a position.

import { clock } from "./words.js";

const STEP = 5; // seconds, of the arrow keys

export class Player {
  // onMove(seconds): told at each frame while it plays, and at each jump
  constructor(onMove) {
    this.audio = document.getElementById("audio");
    this.button = document.getElementById("play");
    this.cursor = document.getElementById("cursor");
    this.words = document.getElementById("player-words");
    this.usualWords = [...this.words.childNodes];
    this.onMove = onMove;
    this.duration = 0;
    this.position = 0;
    this.until = Infinity;
    this.canPlay = true;
    this.button.addEventListener("click", () => this.toggle());
    this.audio.addEventListener("play", () => this.show());
    this.audio.addEventListener("pause", () => this.show());
    this.audio.addEventListener("ended", () => this.show());
    this.audio.addEventListener("error", () => this.cannotPlay());
    this.audio.addEventListener("seeked", () => this.follow());
    document.addEventListener("keydown", (event) => this.key(event));
  }

  // file: null where the sound was not kept
  load(file, duration) {
    URL.revokeObjectURL(this.audio.src);
    this.canPlay = file !== null;
    this.button.disabled = !this.canPlay;
    this.words.replaceChildren(...(file ? this.usualWords
      : ["This browser kept what was heard, not the sound. Drop the file again to play it."]));
    this.duration = duration;
    if (file) this.audio.src = URL.createObjectURL(file);
    else this.audio.removeAttribute("src");
    document.getElementById("length").textContent = `/ ${clock(duration)}`;
    this.cursor.setAttribute("aria-valuemax", duration.toFixed(1));
    this.move(0);
    this.show();
  }

  stop() {
    this.audio.pause();
  }

  toggle() {
    if (!this.canPlay) return;
    this.until = Infinity;
    if (this.audio.paused) this.play();
    else this.audio.pause();
  }

  playFrom(start, end) {
    this.seek(start);
    this.until = end;
    if (this.canPlay) this.play();
  }

  play() {
    this.audio.play().catch((error) => error.name === "NotSupportedError" && this.cannotPlay());
  }

  seek(seconds) {
    const place = Math.min(Math.max(0, seconds), this.duration);
    this.until = Infinity;
    if (this.canPlay) this.audio.currentTime = place;
    this.move(place);
  }

  // Runs while the sound does.
  follow() {
    if (!this.canPlay) return;
    this.move(this.audio.currentTime);
    if (this.audio.paused) return;
    if (this.audio.currentTime >= this.until) {
      this.until = Infinity;
      this.audio.pause();
    } else {
      cancelAnimationFrame(this.frame);
      this.frame = requestAnimationFrame(() => this.follow());
    }
  }

  move(seconds) {
    this.position = seconds;
    document.getElementById("now").textContent = clock(seconds);
    this.cursor.setAttribute("aria-valuenow", seconds.toFixed(1));
    this.cursor.setAttribute("aria-valuetext", `${clock(seconds)} of ${clock(this.duration)}`);
    this.onMove(seconds);
  }

  show() {
    const plays = !this.audio.paused;
    this.button.classList.toggle("plays", plays);
    this.button.setAttribute("aria-label", plays ? "Pause" : "Play");
    this.follow();
  }

  cannotPlay() {
    if (!this.audio.src || !this.duration) return;
    this.canPlay = false;
    this.button.disabled = true;
    this.words.textContent = "This browser cannot play this kind of file. The plots are complete.";
  }

  key(event) {
    const on = event.target;
    if (!this.duration || event.ctrlKey || event.metaKey || event.altKey) return;
    if (on.closest("input, select, textarea, dialog")) return;
    if (event.key === " " && !on.closest("button, a, label, summary")) this.toggle();
    else if (event.key === "ArrowLeft") this.seek(this.position - STEP);
    else if (event.key === "ArrowRight") this.seek(this.position + STEP);
    else if (event.key === "Home" && on === this.cursor) this.seek(0);
    else if (event.key === "End" && on === this.cursor) this.seek(this.duration);
    else return;
    event.preventDefault();
  }
}
