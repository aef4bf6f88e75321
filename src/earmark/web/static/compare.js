// Two songs side by side: the tags that stand out in one of them, and how much of each is in both.

import { $, make } from "./dom.js";
import { measured, standsOut, verdict } from "./verdict.js";
import { capital, clock, percent, shown } from "./words.js";

const GROUPS = ["genre", "mood", "instrument", "voice", "era", "other"];
const MOST = 8; // tags of a group

// songs: two of { line, headline }
export function compare(songs) {
  const head = make("tr");
  head.append(make("th"), ...songs.map(({ line, headline }) => {
    const cell = make("th");
    cell.scope = "col";
    const [before, genre, after] = verdict(line, headline);
    cell.append(make("span", "eyebrow", `${line.path} · ${clock(line.seconds)}`),
      make("span", "", `${before}${genre}${after}`));
    return cell;
  }));
  const scores = songs.map(({ line }) => new Map(line.tags.map((tag) => [tag.tag, tag])));
  const body = GROUPS.flatMap((group) => rows(group, scores));
  $("compare-head").replaceChildren(head);
  $("compare-body").replaceChildren(...body);
}

function rows(group, scores) {
  const untold = ![...scores[0].values()].some(measured);
  const best = (tag) => Math.max(...scores.map((one) => one.get(tag)?.score ?? 0));
  const tags = [...new Set(scores.flatMap((one) => [...one.values()]
    .filter((tag) => tag.group === group && standsOut(tag) && (untold || measured(tag)))
    .map((tag) => tag.tag)))].sort((a, b) => best(b) - best(a)).slice(0, MOST);
  return tags.map((tag, place) => {
    const row = make("tr", place ? "" : "is-first");
    const name = make("th", "", shown(tag));
    name.scope = "row";
    if (!place) name.prepend(make("span", "eyebrow", capital(group)));
    row.append(name, ...scores.map((one) => cell(one.get(tag)?.score)));
    return row;
  });
}

function cell(score) {
  const cell = make("td");
  if (score === undefined) return cell; // another model
  const bar = make("i", "fill");
  bar.style.setProperty("--score", score);
  cell.append(bar, make("b", "", percent(score)));
  return cell;
}
