// The chapters of a long recording: where something changes, to jump to and to take away.

import { $, button, make, save, stem } from "./dom.js";
import { clock, shown } from "./words.js";

export class Chapters {
  constructor(onSeek) {
    this.onSeek = onSeek;
    this.result = null;
    $("save-cue").addEventListener("click", () =>
      save(`${stem(this.result.song.path)}.cue`, "application/x-cue", this.result.cue));
    $("save-chapters").addEventListener("click", () =>
      save(`${stem(this.result.song.path)}.chapters.txt`, "text/plain", this.result.chapter_list));
  }

  load(result) {
    this.result = result;
    this.parts = result.chapters ?? [];
    this.now = -1;
    $("chapters").hidden = this.parts.length < 2;
    this.buttons = this.parts.map((part) => {
      const jump = button("chapter", "", () => this.onSeek(part.start));
      jump.append(make("span", "when", clock(part.start)),
        make("span", "", part.tags.map(shown).join(", ") || part.title));
      return jump;
    });
    $("chapter-list").replaceChildren(...this.buttons.map((jump) => {
      const item = make("li");
      item.append(jump);
      return item;
    }));
  }

  // Marks the chapter that a position lies in.
  at(seconds) {
    const now = this.parts.findLastIndex((part) => part.start <= seconds + 0.01);
    if (now === this.now) return;
    this.buttons[this.now]?.removeAttribute("aria-current");
    this.buttons[now]?.setAttribute("aria-current", "true");
    this.now = now;
  }
}
