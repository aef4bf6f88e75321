// Numbers and names as people read them.

export const clock = (seconds) => {
  const whole = Math.max(0, Math.floor(seconds + 1e-6));
  const hours = Math.floor(whole / 3600), minutes = Math.floor(whole / 60) % 60;
  const rest = String(whole % 60).padStart(2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
};

export const percent = (score) =>
  score > 0 && score < 0.01 ? "<1%" : `${Math.round(100 * score)}%`;

// null where the model does not say how frequent its tags are
export const times = (lift) => lift == null ? "" : `${lift < 9.95 ? lift.toFixed(1) : Math.round(lift)}`;

export const listed = (words) =>
  words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;

export const capital = (text) => text && text[0].toUpperCase() + text.slice(1);

// A message with the full stop that messages of the server lack; a question keeps its own mark.
export const asSentence = (message) => /[^.?!]$/.test(message) ? `${message}.` : message;

// Vocabularies write Hip-Hop beside jazz and Mellow beside sad; here all are in small letters.
const LETTERS = { rnb: "R&B", idm: "IDM", ebm: "EBM" };
export const shown = (tag) => LETTERS[tag.toLowerCase()] ?? tag.replace(/^.*---/, "").toLowerCase();

// How well a tag is told in songs that the model never saw.
export function trust(reliability) {
  if (reliability == null) return "never checked against labels";
  const how = reliability >= 0.9 ? "very well" : reliability >= 0.8 ? "well"
    : reliability >= 0.7 ? "fairly well" : "poorly";
  return `recognised ${how} in songs the model never saw`;
}
