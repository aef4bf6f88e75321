// The tags of a song in their groups; those that were never checked lie apart.

import { $, button, make } from "./dom.js";
import { capital, percent, shown, times, trust } from "./words.js";
import { measured, standsOut } from "./verdict.js";

const GROUPS = ["genre", "mood", "instrument", "voice", "era", "other"];
const FEW = 5; // tags of a group that are shown at first

export class TagGroups {
  constructor(onTag) {
    this.groups = $("groups");
    this.detail = $("detail");
    this.onTag = onTag;
  }

  // song: a line of tags; card: of the model
  load({ tags, first_genre: first }, card) {
    this.detail.hidden = true;
    this.groups.after(this.detail); // out of what is replaced
    this.known = new Map(card.tags.map((one) => [one.tag, one]));
    this.chips = new Map();
    const untold = !tags.some(measured);
    const told = (tag) => untold || measured(tag) || tag.tag === first;
    const sections = [], quiet = [];
    for (const group of GROUPS) {
      const members = tags.filter((tag) => tag.group === group && told(tag));
      if (!members.length) continue;
      const place = (tag) => (tag.tag === first ? 0 : standsOut(tag) ? 1 : 2);
      members.sort((a, b) => place(a) - place(b));
      const few = members.filter((tag) => place(tag) < 2).length;
      if (few) sections.push(this.section(group, members, Math.min(FEW, few)));
      else quiet.push(this.folded(`${capital(group)}: nothing stands out`, members));
    }
    const rest = tags.filter((tag) => !told(tag));
    if (rest.length) quiet.push(this.folded(`${rest.length} tags were never checked`, rest,
      "Nobody compared these scores with labels of real songs. A high one may mean nothing."));
    if (quiet.length) {
      const last = make("div", "group");
      last.append(...quiet);
      sections.push(last);
    }
    this.groups.replaceChildren(...sections);
  }

  select(tag) {
    for (const [name, chip] of this.chips) {
      chip.setAttribute("aria-expanded", String(name === tag));
    }
    const chip = this.chips.get(tag);
    this.detail.hidden = !chip;
    if (!chip) return;
    if (chip.closest(".is-further")) this.unfold(chip.closest(".group"), true);
    const fold = chip.closest("details");
    if (fold) fold.open = true;
    chip.after(this.detail);
  }

  section(group, members, few) {
    const section = make("section", "group");
    const title = make("h3", "", capital(group));
    title.id = `group-${group}`;
    section.setAttribute("aria-labelledby", title.id);
    section.append(title, this.list(members, few));
    if (members.length > few) {
      section.append(button("more", "", () =>
        this.unfold(section, !section.classList.contains("is-open"))));
      this.unfold(section, false);
    }
    return section;
  }

  folded(title, members, note = "") {
    const fold = make("details");
    fold.append(make("summary", "", title));
    if (note) fold.append(make("p", "note", note));
    fold.append(this.list(members, members.length));
    return fold;
  }

  list(members, few) {
    const list = make("ul");
    members.forEach((tag, place) => {
      const item = make("li", place < few ? "" : "is-further");
      item.append(this.chip(tag));
      list.append(item);
    });
    return list;
  }

  unfold(section, isOpen) {
    section.classList.toggle("is-open", isOpen);
    const more = section.querySelector(".more");
    const hidden = section.querySelectorAll(".is-further").length;
    more.textContent = isOpen ? "Fewer" : `${hidden} less likely`;
    more.setAttribute("aria-expanded", String(isOpen));
    more.setAttribute("aria-describedby", section.getAttribute("aria-labelledby"));
  }

  chip(tag) {
    const known = this.known.get(tag.tag);
    const chip = button("chip", "", () => this.onTag(tag.tag));
    chip.dataset.tag = tag.tag;
    chip.setAttribute("aria-expanded", "false");
    const fill = make("i", "fill");
    fill.style.setProperty("--score", tag.score);
    chip.append(fill, make("span", "name", shown(tag.tag)), make("b", "score", percent(tag.score)));
    if (known?.meaning) chip.append(make("span", "meaning", known.meaning));
    this.chips.set(tag.tag, chip);
    return chip;
  }
}

// What is said of a tag that was chosen.
export function described(tag, known) {
  const often = tag.lift == null || known?.prior == null ? ""
    : ` That is ${times(tag.lift)} times an average song's ${percent(known.prior)}.`;
  return `${percent(tag.score)} over the whole song.${often} ${capital(trust(tag.reliability))}.`;
}
