// A song in one sentence: what kind of sound it is, or its genre, mood, era and voice.

import { listed, shown } from "./words.js";

const SURE = 0.3; // least score of a mood, an era, a voice in the sentence
const STANDS_OUT = 0.15; // least score of a tag that a song has at all
const VOICES = {
  "female vocalists": "a woman sings", "female vocalist": "a woman sings",
  "male vocalists": "a man sings", instrumental: "no voice", choir: "a choir",
};

// Whether the tag was compared with labels of songs that the model never saw.
export const measured = (tag) => tag.calibrated || tag.reliability !== null;

// Whether there is more of the tag in the song than in any other.
export const standsOut = (tag) => tag.score >= STANDS_OUT && !(tag.lift < 1);

// song: a line as `earmark tag --json` prints it; headline: what stands in place of tags, or null.
// Returns [before, emphasised, after].
export function verdict(song, headline) {
  if (headline) return [`${headline}.`, "", ""];
  const { tags, first_genre: genre } = song;
  const untold = !tags.some(measured);
  const beside = ["mood", "era", "voice"].flatMap((group) => tags.find((tag) =>
    tag.group === group && tag.score >= SURE && !(tag.lift < 1) && (untold || measured(tag))) ?? []);
  const words = beside.map((tag) => VOICES[tag.tag] ?? shown(tag.tag));
  const rest = words.length ? `: ${words.join(", ")}.` : ".";
  if (genre) return ["It hears ", shown(genre), rest];
  if (!tags.some((tag) => tag.group === "genre")) { // another vocabulary
    return ["It hears ", listed(tags.slice(0, 3).map((tag) => shown(tag.tag))), "."];
  }
  return ["It hears music, and is not sure of the genre", "", rest];
}

// The same for a line of a list.
export function inShort(song, headline) {
  const [before, genre, after] = verdict(song, headline);
  return `${before.replace(/^It hears /, "")}${genre}${after}`.replace(/\.$/, "")
    .replace("music, and is not sure of the genre", "music, not sure of the genre");
}
