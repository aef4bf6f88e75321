// The tags in their groups: how sure, how much of it is news, how far to be trusted.

import { percent, times } from "./words.js";

const GROUPS = ["genre", "mood", "era", "instrument", "voice", "other"];
const FEW = 5; // tags of a group that are shown at first
const DOTS = [0.7, 0.8, 0.9]; // ROC-AUC from which on a dot is filled

export class Chips {
  constructor(onTag) {
    this.groups = document.getElementById("groups");
    this.onTag = onTag;
    this.chosen = null;
  }

  // song: of /api/listen; card: of /api/models
  load({ tags, first_genre: first }, card) {
    const known = new Map(card.tags.map((one) => [one.tag, one]));
    this.chips = new Map();
    const untold = !card.tags.some(measured);
    const sections = GROUPS.flatMap((group) => {
      const members = tags.filter((tag) => tag.group === group);
      // the first genre leads; tags that nobody measured come last, in the fold
      const rank = (tag) => (tag.tag === first ? 0 : untold || measured(tag) ? 1 : 2);
      members.sort((a, b) => rank(a) - rank(b));
      const shown = Math.min(FEW, members.filter((tag) => rank(tag) < 2).length);
      return members.length ? [this.section(group, members, { known, shown, untold })] : [];
    });
    this.groups.classList.toggle("is-untold", card.tags.every((one) => one.reliability === null));
    this.groups.replaceChildren(...sections);
  }

  select(tag) {
    this.chosen = tag;
    for (const [name, chip] of this.chips) {
      chip.setAttribute("aria-pressed", String(name === tag));
      if (name === tag && chip.closest(".is-further")) this.unfold(chip.closest("section"), true);
    }
  }

  section(group, members, { known, shown, untold }) {
    const section = make("section", "group");
    const title = make("h4", "", group);
    title.id = `group-${group}`;
    section.setAttribute("aria-labelledby", title.id);
    const list = make("ul");
    members.forEach((tag, place) => {
      const item = make("li", place < shown ? "" : "is-further");
      item.classList.toggle("is-unmeasured", !untold && !measured(tag));
      item.append(this.chip(tag, known.get(tag.tag)));
      list.append(item);
    });
    section.append(title, list);
    if (members.length > shown) {
      const more = make("button", "more");
      more.type = "button";
      more.addEventListener("click", () =>
        this.unfold(section, !section.classList.contains("is-open")));
      section.append(more);
      this.unfold(section, false);
    }
    return section;
  }

  unfold(section, isOpen) {
    section.classList.toggle("is-open", isOpen);
    const more = section.querySelector(".more");
    const hidden = section.querySelectorAll(".is-further").length;
    const dim = section.querySelectorAll(".is-further.is-unmeasured").length;
    const none = section.querySelector("li:not(.is-further)") === null;
    const note = dim ? `, ${dim} not measured` : "";
    more.textContent = isOpen ? "Fewer" : none ? `${dim} not measured` : `${hidden} more${note}`;
    more.setAttribute("aria-expanded", String(isOpen));
    more.setAttribute("aria-describedby", section.getAttribute("aria-labelledby"));
  }

  chip(tag, known) {
    const chip = make("button", "chip");
    chip.type = "button";
    chip.setAttribute("aria-pressed", "false");
    chip.title = known?.meaning ?? ""; // screen readers read it after the label
    const lifted = tag.lift == null ? "" : `${times(tag.lift)} any song's, `;
    chip.setAttribute("aria-label",
      `${tag.tag}: ${percent(tag.score)}, ${lifted}${trust(known?.reliability)}`);
    const fill = make("i", "fill");
    fill.style.setProperty("--score", tag.score);
    const dots = make("span", "dots");
    dots.title = trust(known?.reliability);
    for (const least of DOTS) {
      dots.append(make("i", known?.reliability == null ? "is-unknown"
        : known.reliability >= least ? "is-full" : ""));
    }
    chip.append(fill, make("span", "hole"), make("span", "name", tag.tag),
      make("span", "lift", times(tag.lift)), dots, make("b", "score", percent(tag.score)));
    chip.addEventListener("click", () => this.onTag(tag.tag));
    this.chips.set(tag.tag, chip);
    return chip;
  }
}

// Whether the tag was compared with labels of songs that the model never saw.
export const measured = (tag) => tag.calibrated || tag.reliability !== null;

export function trust(reliability) {
  return reliability == null ? "reliability not measured"
    : `reliability ${reliability.toFixed(2)} of 1`;
}

export function make(name, className = "", text = "") {
  const element = document.createElement(name);
  if (className) element.className = className;
  if (text) element.textContent = text;
  return element;
}
