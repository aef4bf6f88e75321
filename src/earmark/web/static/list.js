// The list of songs: one line for each, those on their way and those that were heard.

import { button, make } from "./dom.js";
import { inShort } from "./verdict.js";
import { asSentence, capital, clock } from "./words.js";

const WORDS = {
  waiting: "Waits", sending: "Sending", decoding: "Decoding", listening: "Listening",
  stopped: "Stopped",
};

export class SongList {
  // onOpen, onCompare, onRemove, each with an entry
  constructor(list, { onOpen, onCompare, onRemove }) {
    Object.assign(this, { list, onOpen, onCompare, onRemove });
    this.rows = new Map();
  }

  // entry: { name, state, done, message, line, headline }
  show(entry, { first = false } = {}) {
    let row = this.rows.get(entry);
    if (!row) {
      row = this.row(entry);
      this.rows.set(entry, row);
      if (first) this.list.prepend(row.item);
      else this.list.append(row.item);
    }
    const heard = entry.line !== undefined;
    row.item.dataset.state = entry.state;
    row.open.disabled = !heard;
    row.pick.disabled = !heard;
    row.length.textContent = heard ? clock(entry.line.seconds) : "";
    row.words.textContent = heard ? capital(inShort(entry.line, entry.headline))
      : entry.message ? asSentence(entry.message) : WORDS[entry.state] ?? "";
    row.bar.hidden = !["sending", "decoding", "listening"].includes(entry.state);
    row.bar.classList.toggle("is-endless", entry.done === null);
    row.bar.style.setProperty("--done", entry.done ?? 1);
  }

  remove(entry) {
    this.rows.get(entry)?.item.remove();
    this.rows.delete(entry);
  }

  // Marks the song that is open, and those that are compared.
  mark(open, picked) {
    for (const [entry, row] of this.rows) {
      if (entry === open) row.open.setAttribute("aria-current", "true");
      else row.open.removeAttribute("aria-current");
      row.pick.checked = picked.includes(entry);
    }
  }

  row(entry) {
    const item = make("li", "row");
    const pick = make("input");
    pick.type = "checkbox";
    pick.title = "Compare";
    pick.setAttribute("aria-label", `Compare ${entry.name}`);
    pick.addEventListener("change", () => this.onCompare(entry, pick.checked));
    const open = button("open", "", () => this.onOpen(entry));
    const words = make("span", "words");
    open.append(make("b", "", entry.name), words);
    const bar = make("div", "bar");
    bar.append(make("i"));
    bar.setAttribute("aria-hidden", "true"); // the words say it
    const remove = button("quiet", "×", () => this.onRemove(entry));
    remove.setAttribute("aria-label", `Remove ${entry.name}`);
    const length = make("span", "length");
    item.append(pick, open, length, remove, bar);
    return { item, pick, open, words, bar, length };
  }
}
