// Numbers as people read them.

export const clock = (seconds) => {
  const whole = Math.max(0, Math.floor(seconds + 1e-6));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
};

export const percent = (score) =>
  score > 0 && score < 0.01 ? "<1%" : `${Math.round(100 * score)}%`;

// null where the model does not say how frequent its tags are
export const times = (lift) => lift == null ? "" : `${lift < 9.95 ? lift.toFixed(1) : Math.round(lift)}×`;

export const listed = (words) =>
  words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
