// Waveform, spectrogram, one tag's curve and all tags over time, on one time axis.

import { measured } from "./verdict.js";
import { clock, percent, shown } from "./words.js";

const INK = "#dfe9e5", SOFT = "#8fa39b", LINE = "#22332d", GROUND = "#0c1512", TAG = "#ffd42e";
const FONT = { family: "Inter, system-ui, sans-serif", size: 12, color: SOFT };
const MEL = [
  [0, "#0c1512"], [0.25, "#0d3230"], [0.5, "#14665a"], [0.7, "#3f9f72"], [0.86, "#b3cc5a"],
  [1, "#fff2a8"],
];
const SCORES = [
  [0, "#12201c"], [0.05, "#163029"], [0.25, "#1d5a4d"], [0.5, "#5d9a5c"], [0.75, "#c9c24a"],
  [1, TAG],
];
const FALLS = [
  [0, "rgba(120,170,255,.85)"], [0.35, "rgba(120,170,255,.18)"], [0.5, "rgba(0,0,0,0)"],
  [0.62, "rgba(255,212,46,.12)"], [1, "rgba(255,212,46,.85)"],
];
const LABELS = [250, 1000, 2000, 4000, 7000]; // Hz
const FEW_ROWS = 10;
const DRAG = 4; // pixels; less is a click
const HEIGHTS = { wave: 56, mel: 150, curve: 74, row: 20, gap: 14, foot: 34, top: 8 };

export class Timeline {
  // onSeek(seconds), onTag(tag)
  constructor({ onSeek, onTag }) {
    this.plot = document.getElementById("plot");
    this.cursor = document.getElementById("cursor");
    this.whole = document.getElementById("whole");
    this.onSeek = onSeek;
    this.onTag = onTag;
    this.seconds = 0;
    this.allRows = false;
    this.whole.addEventListener("click", () => this.zoom([0, this.duration]));
    this.listen();
    new ResizeObserver(() => this.place()).observe(this.plot);
  }

  // result: of /api/listen; tags: of the whole song. Tags that were never checked come last.
  async load(result, tags) {
    this.result = result;
    const told = new Set(tags.filter(measured).map((tag) => tag.tag));
    const late = (i) => Number(told.size > 0 && !told.has(result.taggram.tags[i]));
    this.duration = result.taggram.duration;
    this.tag = null;
    this.sensitive = null;
    this.range = [0, this.duration];
    const scores = result.taggram.scores;
    const peak = result.taggram.tags.map((tag, i) => [scores[i].reduce((a, b) => Math.max(a, b), 0), i]);
    peak.sort((a, b) => late(a[1]) - late(b[1]) || b[0] - a[0] || a[1] - b[1]);
    this.order = peak.map(([, i]) => i);
    this.most = Math.max(0.1, peak[0][0]); // of the colours
    await this.draw();
  }

  async select(tag) {
    this.tag = tag;
    this.sensitive = null;
    await this.draw();
  }

  // sensitive: of /api/sensitivity, or null
  async overlay(sensitive) {
    this.sensitive = sensitive;
    await this.draw();
  }

  async showRows(all) {
    this.allRows = all;
    await this.draw();
  }

  async zoom(range) {
    await Plotly.relayout(this.plot, { "xaxis.range": range, ...this.ticks(range) });
  }

  // Where the cursor stands.
  at(seconds) {
    this.seconds = seconds;
    this.place();
  }

  rows() {
    const rows = this.order.slice(0, this.allRows ? undefined : FEW_ROWS);
    const chosen = this.result.taggram.tags.indexOf(this.tag);
    if (chosen >= 0 && !rows.includes(chosen)) rows.push(chosen);
    return rows;
  }

  async draw() {
    const rows = this.rows();
    const shown = this.tag !== null;
    const narrow = this.plot.clientWidth < 560;
    const heights = [HEIGHTS.wave, HEIGHTS.mel, shown ? HEIGHTS.curve : 0, HEIGHTS.row * rows.length];
    const gaps = HEIGHTS.gap * (shown ? 3 : 2);
    const inner = heights.reduce((sum, one) => sum + one, gaps);
    let top = inner;
    const domains = heights.map((height) => {
      const domain = [(top - height) / inner, top / inner];
      top -= height ? height + HEIGHTS.gap : 0;
      return domain.map((end) => Math.min(1, Math.max(0, end)));
    });
    const layout = {
      height: inner + HEIGHTS.top + HEIGHTS.foot,
      margin: { l: narrow ? 100 : 132, r: 14, t: HEIGHTS.top, b: HEIGHTS.foot, pad: 0 },
      paper_bgcolor: GROUND, plot_bgcolor: GROUND, font: FONT, showlegend: false,
      dragmode: "zoom", hovermode: "closest",
      hoverlabel: { bgcolor: "#fff", bordercolor: "#fff", font: { ...FONT, color: "#12211d" } },
      xaxis: {
        domain: [0, 1], anchor: "y4", range: this.range, minallowed: 0, maxallowed: this.duration,
        showgrid: false, zeroline: false, tickcolor: LINE, ticks: "outside", ticklen: 5,
        ...unprefixed(this.ticks(this.range)),
      },
      yaxis: { ...plain(domains[0]), range: [-1050, 1050], showticklabels: false,
        ticks: "" },
      yaxis2: { ...plain(domains[1]), range: [-0.5, this.result.spectrogram.hz.length - 0.5],
        ...this.bands() },
      yaxis3: { ...plain(domains[2]), range: [0, this.curveTop()], visible: shown, nticks: 3,
        tickformat: ".0~%", showgrid: true, gridcolor: LINE },
      yaxis4: { ...plain(domains[3]), range: [rows.length - 0.5, -0.5],
        tickvals: rows.map((_, row) => row),
        ticktext: rows.map((i) => this.label(this.result.taggram.tags[i])) },
      shapes: this.shapes(rows),
    };
    const config = { displayModeBar: false, responsive: true, doubleClick: "reset",
      showTips: false };
    await Plotly.react(this.plot, this.traces(rows), layout, config);
    if (!this.isFollowed) {
      this.isFollowed = true;
      this.plot.on("plotly_relayout", (change) => this.zoomed(change));
    }
    this.place();
  }

  traces(rows) {
    const { waveform, spectrogram, taggram } = this.result;
    const n = waveform.low.length, columns = Number(spectrogram.z.shape.split(",")[1]);
    const x = waveform.low.map((_, i) => ((i + 0.5) * this.duration) / n);
    const edges = [...taggram.seconds, this.duration];
    const wave = { type: "scatter", mode: "lines", x, hoverinfo: "skip", yaxis: "y",
      line: { color: TAG, width: 0.6 } };
    const width = this.duration / columns;
    const traces = [
      { ...wave, y: waveform.low },
      { ...wave, y: waveform.high, fill: "tonexty", fillcolor: "rgba(255,212,46,.85)" },
      { type: "heatmap", z: spectrogram.z, x0: width / 2, dx: width, y0: 0, dy: 1, yaxis: "y2",
        colorscale: MEL, showscale: false, zmin: 0, zmax: 255, hoverinfo: "skip", zsmooth: false },
      { type: "heatmap", yaxis: "y4", x: edges, y: rows.map((_, row) => row),
        z: rows.map((i) => taggram.scores[i]), colorscale: SCORES, showscale: false,
        zmin: 0, zmax: this.most, xgap: 0, ygap: 2,
        text: rows.map((i) => taggram.seconds.map((from, cell) =>
          `${escape(shown(taggram.tags[i]))}, ${clock(from)}: ${percent(taggram.scores[i][cell])}`)),
        hovertemplate: "%{text}<extra></extra>" },
    ];
    if (this.tag !== null) {
      const scores = this.curve();
      traces.push({ type: "scatter", mode: "lines", yaxis: "y3", x: edges,
        y: [...scores, scores.at(-1)], line: { shape: "hv", color: TAG, width: 1.6 },
        fill: "tozeroy", fillcolor: "rgba(255,212,46,.18)", hoverinfo: "skip" });
    }
    if (this.sensitive !== null && this.tag !== null) {
      const { times, mel_edges: bands, tags, falls } = this.sensitive;
      const z = falls[tags.indexOf(this.tag)];
      const most = Math.max(0.05, ...z.flat().map(Math.abs));
      traces.push({ type: "heatmap", yaxis: "y2", x: times, y: bands.map((band) => band - 0.5), z,
        zmin: -most, zmax: most, colorscale: FALLS, showscale: false, xgap: 1, ygap: 1,
        text: z.map((row) => row.map((fall) => fall > 0 ? "without this: less likely"
          : "without this: more likely")), hovertemplate: "%{text}<extra></extra>" });
    }
    return traces;
  }

  shapes(rows) {
    const shapes = (this.result.chapters ?? []).slice(1).map((part) => ({
      type: "line", xref: "x", yref: "paper", x0: part.start, x1: part.start, y0: 0, y1: 1,
      line: { color: INK, width: 1, dash: "2px,3px" },
    }));
    const row = rows.indexOf(this.result.taggram.tags.indexOf(this.tag));
    if (row >= 0) {
      shapes.push({ type: "rect", xref: "paper", yref: "y4", x0: 0, x1: 1, y0: row - 0.5,
        y1: row + 0.5, line: { color: TAG, width: 1.5 } });
    }
    if (this.sensitive !== null) {
      shapes.push({ type: "rect", xref: "x", yref: "y2 domain", y0: 0, y1: 1,
        x0: this.sensitive.times[0], x1: this.sensitive.times.at(-1),
        line: { color: INK, width: 1, dash: "dot" } });
    }
    return shapes;
  }

  label(tag) {
    const text = escape(shown(tag));
    return tag === this.tag ? `<b>${text}</b>` : text;
  }

  curve() {
    return this.result.taggram.scores[this.result.taggram.tags.indexOf(this.tag)];
  }

  curveTop() {
    return this.tag === null ? 1 : Math.min(1.02, Math.max(0.05, 1.15 * Math.max(...this.curve())));
  }

  bands() {
    const { hz } = this.result.spectrogram;
    const ticks = LABELS.filter((label) => label <= hz.at(-1));
    return {
      tickvals: ticks.map((label) => hz.findIndex((one) => one >= label)),
      ticktext: ticks.map((label) => (label < 1000 ? `${label} Hz` : `${label / 1000} kHz`)),
    };
  }

  ticks(range) {
    const wanted = Math.max(2, this.plot.clientWidth / 110);
    const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 1800];
    const step = steps.find((one) => (range[1] - range[0]) / one <= wanted) ?? 3600;
    const values = [];
    for (let i = Math.ceil(range[0] / step - 1e-9); i * step <= range[1] + 1e-9; i += 1) {
      values.push(i * step);
    }
    const text = (seconds) => clock(seconds) + (step < 1 ? (seconds % 1).toFixed(1).slice(1) : "");
    return { "xaxis.tickvals": values, "xaxis.ticktext": values.map(text) };
  }

  zoomed(change) {
    const { range } = this.plot._fullLayout.xaxis;
    if (!("xaxis.tickvals" in change) && ("xaxis.range[0]" in change || "xaxis.range" in change
        || "xaxis.autorange" in change)) {
      this.zoom(range[1] - range[0] < 0.2 ? this.range : [...range]);
      return;
    }
    this.range = [...range];
    this.whole.hidden = range[0] <= 0 && range[1] >= this.duration - 1e-6;
    this.place();
  }

  place() {
    const axis = this.plot._fullLayout?.xaxis;
    if (!axis || !this.duration) return;
    const x = axis.l2p(this.seconds);
    this.cursor.style.transform = `translateX(${axis._offset + x}px)`;
    this.cursor.style.top = `${HEIGHTS.top}px`;
    this.cursor.style.height = `${this.plot._fullLayout.height - HEIGHTS.top - HEIGHTS.foot}px`;
    this.cursor.style.visibility = x >= 0 && x <= axis._length ? "visible" : "hidden";
  }

  // A click seeks, or chooses the tag whose name it meets; a drag is plotly's, and looks closer.
  listen() {
    let from = null;
    this.plot.addEventListener("pointerdown", (event) => {
      from = event.button === 0 ? [event.clientX, event.clientY] : null;
    }, { capture: true });
    // plotly covers the page while the button is down, so the end is heard on the window
    addEventListener("pointerup", (event) => {
      if (from === null) return;
      const moved = Math.hypot(event.clientX - from[0], event.clientY - from[1]);
      from = null;
      if (moved < DRAG) this.clicked(event);
    }, { capture: true });
    const { cursor } = this;
    cursor.addEventListener("pointerdown", (event) => cursor.setPointerCapture(event.pointerId));
    cursor.addEventListener("pointermove", (event) => {
      if (cursor.hasPointerCapture(event.pointerId)) this.onSeek(this.placeOf(event).seconds);
    });
  }

  clicked(event) {
    const { x, width, row, seconds } = this.placeOf(event);
    if (x >= 0 && x <= width) this.onSeek(seconds);
    else if (x < 0 && row !== undefined) this.onTag(this.result.taggram.tags[row]);
  }

  // Where a pointer is: pixels from the left of the pictures, the tag of its row, its time.
  placeOf(event) {
    const { xaxis, yaxis4 } = this.plot._fullLayout;
    const box = this.plot.getBoundingClientRect();
    const x = event.clientX - box.left - xaxis._offset;
    const y = event.clientY - box.top - yaxis4._offset;
    const row = this.rows()[Math.round(yaxis4.p2l(y))];
    return { x, width: xaxis._length, row, seconds: xaxis.p2l(x) };
  }
}

// The strongest stretch of a tag: [start, end] in seconds.
export function strongest(taggram, tag) {
  const scores = taggram.scores[taggram.tags.indexOf(tag)];
  const cell = scores.indexOf(Math.max(...scores));
  return [taggram.seconds[cell], taggram.seconds[cell + 1] ?? taggram.duration];
}

function plain(domain) {
  return { domain, fixedrange: true, showgrid: false, zeroline: false, ticks: "outside",
    ticklen: 6, tickcolor: "rgba(0,0,0,0)" };
}

function unprefixed(changes) {
  return Object.fromEntries(
    Object.entries(changes).map(([name, value]) => [name.replace("xaxis.", ""), value]));
}

// plotly reads a few HTML tags in its texts.
function escape(text) {
  return text.replace(/[&<>]/g, (char) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[char]);
}
