// A song of the library that is open: its tags, each with yes and no, and where to go from it.

import { button, make } from "./dom.js";
import { measured, standsOut } from "./verdict.js";
import { percent, shown } from "./words.js";

const FEW = 10; // tags that are shown of a song

export class Opened {
  constructor({ describe, tags, correct, onCorrected, onError, onSimilar, onJourney, journeyWords }) {
    Object.assign(this, {
      describe, tags, correct, onCorrected, onError, onSimilar, onJourney, journeyWords,
    });
    this.item = null;
  }

  async toggle(item, opener, line) {
    const wasOpen = this.item === item;
    this.close();
    if (wasOpen) return;
    this.item = item;
    this.opener = opener;
    opener.setAttribute("aria-expanded", "true");
    try {
      const song = await this.describe(line.id);
      if (this.item === item) this.draw(line, song);
    } catch (error) {
      if (error.status === undefined) throw error;
      this.close();
      this.onError(error.message);
    }
  }

  close() {
    this.opener?.setAttribute("aria-expanded", "false");
    this.item?.querySelector(".about")?.remove();
    this.item = this.opener = this.line = null;
  }

  draw(line, song) {
    this.line = line;
    const focused = this.item.querySelector(".about :focus")?.dataset.does;
    this.item.querySelector(".about")?.remove();
    const about = make("div", "about");
    const go = make("p", "about-actions");
    this.way = button("plain small", "", () => this.onJourney(line));
    go.append(button("plain small", "Songs like this", () => this.onSimilar(line)), this.way);
    this.journey();
    const list = make("ul", "verdicts");
    for (const tag of this.picked(song)) list.append(this.tag(line, song, tag));
    about.append(go, list, this.adder(line), make("p", "note path", song.path));
    this.item.append(about);
    if (focused) about.querySelector(`[data-does="${CSS.escape(focused)}"]`)?.focus();
  }

  journey() {
    if (this.line) this.way.textContent = this.journeyWords(this.line);
  }

  // What was corrected, then what stands out, as far as there is room.
  picked(song) {
    const said = song.corrected ?? {};
    const corrected = song.tags.filter((one) => one.tag in said);
    const rest = song.tags.filter((one) => !(one.tag in said) && measured(one));
    const clear = rest.filter(standsOut);
    return [...corrected, ...(clear.length ? clear : rest).slice(0, FEW)];
  }

  tag(line, song, one) {
    const said = song.corrected?.[one.tag];
    const item = make("li", said === undefined ? "" : "is-said");
    const fill = make("i", "fill");
    fill.style.setProperty("--score", one.score);
    item.append(fill, make("span", "name", shown(one.tag)),
      make("span", "score", said === undefined ? percent(one.score) : said ? "you: yes" : "you: no"));
    for (const [holds, words] of [[true, "Yes"], [false, "No"]]) {
      const say = button("say", words, () =>
        this.say(line, one.tag, said === holds ? null : holds));
      say.dataset.does = `${words} ${one.tag}`;
      say.setAttribute("aria-pressed", String(said === holds));
      say.setAttribute("aria-label", `${words}: ${shown(one.tag)}`);
      item.append(say);
    }
    return item;
  }

  // A field for a tag that was not heard.
  adder(line) {
    const form = make("form", "adder");
    const label = make("label", "", "It also is");
    const choice = make("select");
    choice.id = "add-tag";
    label.htmlFor = choice.id;
    const sorted = this.tags().map((one) => one.tag)
      .sort((a, b) => shown(a).localeCompare(shown(b), "en"));
    choice.required = true;
    const none = make("option", "", "choose a tag");
    none.value = "";
    choice.append(none, ...sorted.map((tag) => {
      const option = make("option", "", shown(tag));
      option.value = tag;
      return option;
    }));
    const add = make("button", "plain small", "Add");
    add.type = "submit";
    form.append(label, choice, add);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.say(line, choice.value, true);
    });
    return form;
  }

  async say(line, tag, holds) {
    try {
      const song = await this.correct(line.id, tag, holds);
      if (this.line?.id === line.id) this.draw(line, song);
      await this.onCorrected();
    } catch (error) {
      if (error.status === undefined) throw error;
      this.onError(error.message);
    }
  }
}
