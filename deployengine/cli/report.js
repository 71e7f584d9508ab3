"use strict";
// Rows of `runs` are, in this order, the columns below; the first six are places in lists of names.
const data = JSON.parse(document.getElementById("data").textContent);
const [PROJECT, VERSION, ENVIRONMENT, MACHINE, STEP, STATE, ATTEMPT, LOCK, READY, GRANTED, STARTED,
  FINISHED, EXIT, RUN, MESSAGE] = Array.from({ length: 15 }, (_, n) => n);
const names = data.names, runs = data.runs;
const at = (id) => document.getElementById(id);
const canvas = at("timeline"), scroll = at("scroll"), tip = at("tip");
// The rows are painted once a view and kept; a run that is pointed at is drawn over a copy of them.
const kept = document.createElement("canvas"), screen_ = canvas.getContext("2d");
let pen = kept.getContext("2d");
const AXIS = 26, HEAD = 24, ROW = 20, LANE = 7, LANES = 8, END = Math.max(data.seconds, 0.001);
const state = (run) => names[STATE][run[STATE]];
const bad = (run) => state(run) === "failed" || state(run) === "unknown";
const ran = (run) => run[STARTED] !== null && run[FINISHED] !== null;
const plus = (from, to) => from === null || to === null ? null : Math.max(to - from, 0);

function said(seconds) {
  if (seconds === null) return "–";
  if (seconds < 9.995) return seconds.toFixed(2) + " s";
  if (seconds < 99.95) return seconds.toFixed(1) + " s";
  const whole = Math.round(seconds), two = (n) => String(n).padStart(2, "0");
  if (whole < 3600) return Math.floor(whole / 60) + "m " + two(whole % 60) + "s";
  const minutes = Math.round(whole / 60);
  return Math.floor(minutes / 60) + "h " + two(minutes % 60) + "m";
}

// Colours: a project's hue comes from its name alone, so it is the same in every report. Reds are
// left to failures.
const dark = matchMedia("(prefers-color-scheme: dark)");
let ink = {}, colours = [];
function choose() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["card", "text", "soft", "line", "bad", "machine", "cap", "focus", "stripe"])
    ink[name] = style.getPropertyValue("--" + name).trim();
  colours = names[PROJECT].map((name) => {
    let hash = 2166136261;
    for (const letter of name) hash = Math.imul(hash ^ letter.codePointAt(0), 16777619);
    hash = Math.imul(hash ^ (hash >>> 15), 2246822519) >>> 8;
    const light = (dark.matches ? 52 : 40) + (hash >>> 10) % 3 * 7;
    const hue = 35 + hash % 300;
    return { fill: "hsl(" + hue + " 52% " + light + "%)", text: bright(hue, 0.52, light / 100) ? "#10131a" : "#fff" };
  });
}

// Whether dark text is easier to read on a colour than white: its relative luminance, as WCAG has it.
function bright(hue, saturation, light) {
  const part = (n) => {
    const k = (n + hue / 30) % 12;
    const value = light - saturation * Math.min(light, 1 - light) * Math.max(-1, Math.min(k - 3, 9 - k, 1));
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  };
  return 0.2126 * part(0) + 0.7152 * part(8) + 0.0722 * part(4) > 0.18;
}

// A machine may stand in several environments: it has a row in each.
function laid() {
  const byKey = new Map();
  for (const run of runs) {
    const key = run[ENVIRONMENT] + "/" + run[MACHINE];
    if (!byKey.has(key)) byKey.set(key, { environment: run[ENVIRONMENT], machine: run[MACHINE], runs: [] });
    byKey.get(key).runs.push(run);
  }
  const order = new Intl.Collator("en", { numeric: true });
  const rows = [...byKey.values()].sort((a, b) => a.environment - b.environment
    || order.compare(names[MACHINE][a.machine], names[MACHINE][b.machine]));
  for (const row of rows) { lanes(row); row.queue = queue(row.runs); }
  return rows;
}

// Runs that overlap lie below each other, in at most so many lanes.
function lanes(row) {
  const ends = [];
  row.bars = row.runs.filter((run) => run[STARTED] !== null).sort((a, b) => a[STARTED] - b[STARTED])
    .map((run) => {
      let lane = ends.findIndex((end) => end <= run[STARTED] + 1e-6);
      if (lane < 0) lane = ends.length < LANES ? ends.push(0) - 1 : ends.indexOf(Math.min(...ends));
      ends[lane] = run[FINISHED] === null ? END : run[FINISHED];
      return { run, lane, row };
    });
  row.lanes = Math.max(ends.length, 1);
  row.height = row.lanes === 1 ? ROW : row.lanes * LANE + 8;
}

// How many wait for the machine and for the cap, as steps [from, machine, cap].
function queue(of) {
  const changes = [];
  const wait = (from, to, which) => {
    if (from === null || to === null || to <= from) return;
    changes.push([from, which, 1], [to, which, -1]);
  };
  for (const run of of) {
    // Who was cancelled in the queue stood in it until then; who is not over still does.
    const over = run[FINISHED] === null ? END : run[FINISHED];
    if (run[READY] !== null) wait(run[READY], run[GRANTED] === null ? over : run[GRANTED], 0);
    if (run[GRANTED] !== null) wait(run[GRANTED], run[STARTED] === null ? over : run[STARTED], 1);
  }
  changes.sort((a, b) => a[0] - b[0]);
  const steps = [], now = [0, 0];
  for (const [moment, which, by] of changes) {
    now[which] += by;
    const last = steps[steps.length - 1];
    if (last && last[0] === moment) { last[1] = now[0]; last[2] = now[1]; }
    else steps.push([moment, now[0], now[1]]);
  }
  return steps;
}

const rows = laid();
const most = rows.reduce((n, row) => row.queue.reduce((m, s) => Math.max(m, s[1] + s[2]), n), 1);
const shade = (count) => Math.sqrt(count / most);
let view = { from: 0, to: END }, shown = [], chosen = null, width = 0, height = 0, left = 120;
let wantedProject = "", wantedEnvironment = "";
const matches = (run) => !wantedProject || names[PROJECT][run[PROJECT]].toLowerCase().includes(wantedProject);

// What is shown: a heading for each environment, then its rows, each with its place from the top.
function arrange() {
  shown = [];
  let top = 0, last = null;
  for (const row of rows) {
    if (wantedEnvironment && names[ENVIRONMENT][row.environment] !== wantedEnvironment) continue;
    if (row.environment !== last) {
      shown.push({ heading: names[ENVIRONMENT][row.environment], top, height: HEAD });
      top += HEAD;
      last = row.environment;
    }
    row.top = top;
    shown.push(row);
    top += row.height;
  }
  const whole = Math.max(AXIS + top + 8, 120);
  at("tall").style.height = whole + "px";
  height = Math.max(Math.min(whole, Math.floor(innerHeight * 0.82)), 120);
  width = scroll.clientWidth;
  const dots = devicePixelRatio || 1;
  for (const each of [kept, canvas]) { each.width = width * dots; each.height = height * dots; }
  canvas.style.width = width + "px"; canvas.style.height = height + "px";
  for (const each of [pen, screen_]) each.setTransform(dots, 0, 0, dots, 0, 0);
  draw();
}

const x = (seconds) => left + (seconds - view.from) / (view.to - view.from) * (width - left - 10);
const when = (place) => view.from + (place - left) / (width - left - 10) * (view.to - view.from);

let asked = false, stale = true;
function draw(all = true) {
  stale = stale || all;
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => {
    asked = false;
    if (stale) paint();
    stale = false;
    screen_.clearRect(0, 0, width, height);
    screen_.drawImage(kept, 0, 0, width, height);
    if (chosen && shown.includes(chosen.row)) over(() => paintChosen(chosen, chosen.row.top + AXIS - scroll.scrollTop));
  });
}

// Draws on the screen itself, within the rows.
function over(drawing) {
  const below = pen;
  pen = screen_;
  pen.save();
  pen.beginPath(); pen.rect(left, AXIS, width - left, height - AXIS); pen.clip();
  drawing();
  pen.restore();
  pen = below;
}

function paint() {
  pen.clearRect(0, 0, width, height);
  pen.font = "12px system-ui, sans-serif";
  pen.textBaseline = "middle";
  const down = AXIS - scroll.scrollTop;
  const visible = shown.filter((row) => row.top + row.height + down > AXIS && row.top + down < height);
  visible.forEach((row) => { if (!row.heading) ground(row, row.top + down); });
  ticks();
  pen.save();
  pen.beginPath(); pen.rect(left, AXIS, width - left, height - AXIS); pen.clip();
  visible.forEach((row) => {
    if (row.heading) return;
    waits(row, row.top + down);
    row.bars.forEach((bar) => paintBar(bar, row.top + down));
  });
  pen.restore();
  visible.forEach((row) => label(row, row.top + down));
  axis();
}

function ground(row, top) {
  pen.fillStyle = ink.stripe;
  pen.fillRect(left, top + 1, width - left - 10, row.height - 2);
}

function label(row, top) {
  if (row.heading !== undefined) {
    pen.fillStyle = ink.text;
    pen.font = "600 12px system-ui, sans-serif";
    pen.fillText(row.heading, 10, top + HEAD / 2 + 2, width - 20);
    pen.font = "12px system-ui, sans-serif";
    return;
  }
  pen.fillStyle = ink.soft;
  pen.fillText(fitting(names[MACHINE][row.machine], left - 24), 18, top + row.height / 2);
}

function fitting(text, room) {
  if (pen.measureText(text).width <= room) return text;
  let short = text;
  while (short.length > 1 && pen.measureText(short + "…").width > room) short = short.slice(0, -1);
  return short + "…";
}

function step() {
  const about = (view.to - view.from) / Math.max((width - left) / 110, 1);
  const sizes = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300,
    600, 900, 1800, 3600, 7200, 14400, 43200, 86400];
  return sizes.find((size) => size >= about) || Math.ceil(about / 86400) * 86400;
}

function ticks() {
  pen.fillStyle = ink.line;
  const by = step();
  for (let n = Math.ceil(view.from / by); n * by <= view.to; n += 1) pen.fillRect(Math.round(x(n * by)), AXIS, 1, height - AXIS);
}

function axis() {
  pen.fillStyle = ink.card;
  pen.fillRect(0, 0, width, AXIS);
  pen.fillStyle = ink.soft;
  pen.textAlign = "center";
  const by = step();
  for (let n = Math.ceil(view.from / by); n * by <= view.to; n += 1) {
    const place = x(n * by);
    if (place < width - 26) pen.fillText(tick(n * by, by), Math.max(place, left + 8), AXIS / 2);
  }
  pen.textAlign = "left";
  pen.fillText("since start", 10, AXIS / 2);
  pen.fillStyle = ink.line;
  pen.fillRect(0, AXIS - 1, width, 1);
}

function tick(seconds, by) {
  if (seconds < 60 || by < 1) return Number(seconds.toFixed(3)) + " s";
  const two = (n) => String(n).padStart(2, "0"), whole = Math.round(seconds);
  const hours = Math.floor(whole / 3600), rest = two(Math.floor(whole / 60) % 60) + ":" + two(whole % 60);
  return hours ? hours + ":" + rest : rest.replace(/^0/, "");
}

// The shade of those who wait, behind the bars; the cap's lies on top of the machine's.
function waits(row, top) {
  const room = row.height - 2, foot = top + row.height - 1;
  row.queue.forEach(([from, machine, cap], n) => {
    const to = n + 1 < row.queue.length ? row.queue[n + 1][0] : from;
    if (to < view.from || from > view.to || !(machine + cap)) return;
    const whole = shade(machine + cap) * room, own = whole * machine / (machine + cap);
    // Whole pixels, so that neighbours leave no seam; what is shorter is left out.
    const begin = Math.round(x(from)), long = Math.round(x(to)) - begin;
    if (!long) return;
    pen.globalAlpha = 0.5;
    pen.fillStyle = ink.machine;
    pen.fillRect(begin, foot - own, long, own);
    pen.fillStyle = ink.cap;
    pen.fillRect(begin, foot - whole, long, whole - own);
  });
  pen.globalAlpha = 1;
}

function place(bar, top) {
  const { run, lane, row } = bar, from = x(run[STARTED]), end = x(run[FINISHED] === null ? END : run[FINISHED]);
  const tall = row.lanes === 1 ? ROW - 9 : LANE - 1;
  return [from, top + 3 + lane * LANE, Math.max(end - from - (end - from > 4 ? 1 : 0), 1), tall];
}

function paintBar(bar, top) {
  const run = bar.run;
  if (run[STARTED] > view.to || (run[FINISHED] !== null && run[FINISHED] < view.from)) return;
  const box = place(bar, top);
  pen.globalAlpha = matches(run) ? 1 : 0.1;
  pen.fillStyle = colours[run[PROJECT]].fill;
  pen.fillRect(...box);
  if (bad(run)) {
    pen.strokeStyle = ink.bad;
    pen.lineWidth = 2;
    pen.strokeRect(box[0] + 1, box[1], Math.max(box[2] - 2, 1), box[3]);
  }
  if (box[2] > 70 && bar.row.lanes === 1 && matches(run)) {
    pen.fillStyle = colours[run[PROJECT]].text;
    pen.font = "10px system-ui, sans-serif";
    pen.fillText(fitting(names[PROJECT][run[PROJECT]], box[2] - 8), box[0] + 4, box[1] + box[3] / 2 + 0.5);
    pen.font = "12px system-ui, sans-serif";
  }
  pen.globalAlpha = 1;
}

// The chosen run with its own two waits before it.
function paintChosen(bar, top) {
  const run = bar.run, [from, up, long, tall] = place(bar, top);
  const span = (a, b, colour) => {
    if (a === null || b === null || b <= a) return;
    pen.fillStyle = colour;
    pen.fillRect(x(a), up + tall / 2 - 2, x(b) - x(a), 4);
  };
  paintBar(bar, top);
  span(run[READY], run[GRANTED], ink.machine);
  span(run[GRANTED], run[STARTED], ink.cap);
  pen.strokeStyle = ink.focus;
  pen.lineWidth = 2;
  pen.strokeRect(from - 1, up - 1, long + 2, tall + 2);
}

function told(run) {
  const again = run[ATTEMPT] > 1 ? " (attempt " + run[ATTEMPT] + ")" : "";
  const exit = run[EXIT] === null ? "" : ", exit code " + run[EXIT];
  return [
    names[PROJECT][run[PROJECT]] + " " + names[VERSION][run[VERSION]] + " → " + names[ENVIRONMENT][run[ENVIRONMENT]],
    names[STEP][run[STEP]] + " on " + names[MACHINE][run[MACHINE]] + again,
    run[RUN] + ": " + state(run) + exit + (run[MESSAGE] ? " — " + run[MESSAGE] : ""),
    "ready at " + said(run[READY]) + ", started at " + said(run[STARTED]) + ", finished at " + said(run[FINISHED]),
    "waited " + said(plus(run[READY], run[GRANTED])) + " for the machine (" + run[LOCK] + "), "
      + said(plus(run[GRANTED], run[STARTED])) + " for the task cap",
    "ran " + said(plus(run[STARTED], run[FINISHED])),
  ].join("\n");
}

function hit(left_, top_) {
  const down = AXIS - scroll.scrollTop;
  if (top_ < AXIS || left_ < left) return null;
  const row = shown.find((r) => !r.heading && top_ >= r.top + down && top_ < r.top + down + r.height);
  if (!row) return null;
  let best = null, nearest = 4;
  for (const bar of row.bars) {
    const [from, up, long, tall] = place(bar, row.top + down);
    if (row.lanes > 1 && (top_ < up - 1 || top_ > up + tall + 1)) continue;
    const off = left_ < from ? from - left_ : left_ > from + long ? left_ - from - long : 0;
    if (off < nearest) { nearest = off; best = bar; }
  }
  return best;
}

function show(bar, left_, top_) {
  if (bar !== chosen) { chosen = bar; draw(false); }
  tip.hidden = !bar;
  if (!bar) return;
  tip.textContent = told(bar.run);
  const box = tip.getBoundingClientRect();
  tip.style.left = Math.max(Math.min(left_ + 14, innerWidth - box.width - 8), 8) + "px";
  tip.style.top = (top_ + 18 + box.height > innerHeight ? Math.max(top_ - box.height - 12, 8) : top_ + 18) + "px";
}

function look(from, to) {
  const long = Math.min(Math.max(to - from, END / 5000, 0.002), END);
  const begin = Math.min(Math.max(from, 0), END - long);
  view = { from: begin, to: begin + long };
  draw();
}

function zoom(by, around) {
  const middle = around === undefined ? (view.from + view.to) / 2 : around;
  look(middle - (middle - view.from) * by, middle + (view.to - middle) * by);
}

let pulled = null;
canvas.addEventListener("pointerdown", (event) => {
  pulled = { x: event.offsetX, from: view.from, to: view.to };
  canvas.setPointerCapture(event.pointerId);
  canvas.classList.add("pulling");
});
canvas.addEventListener("pointermove", (event) => {
  if (!pulled) return show(hit(event.offsetX, event.offsetY), event.clientX, event.clientY);
  const by = (pulled.x - event.offsetX) / (width - left - 10) * (pulled.to - pulled.from);
  return look(pulled.from + by, pulled.to + by);
});
for (const end of ["pointerup", "pointercancel"])
  canvas.addEventListener(end, () => { pulled = null; canvas.classList.remove("pulling"); });
canvas.addEventListener("pointerleave", () => show(null));
canvas.addEventListener("blur", () => show(null));
canvas.addEventListener("wheel", (event) => {
  if (!event.ctrlKey && !event.metaKey) return;
  event.preventDefault();
  zoom(event.deltaY > 0 ? 1.25 : 0.8, when(event.offsetX));
}, { passive: false });
scroll.addEventListener("scroll", () => draw());

function go(bar) {
  if (!bar) return;
  const run = bar.run, long = view.to - view.from;
  if (run[STARTED] < view.from || run[STARTED] > view.to) look(run[STARTED] - long / 3, run[STARTED] + long * 2 / 3);
  const top = bar.row.top, room = height - AXIS;
  if (top < scroll.scrollTop) scroll.scrollTop = top;
  if (top + bar.row.height > scroll.scrollTop + room) scroll.scrollTop = top + bar.row.height - room;
  const box = canvas.getBoundingClientRect();
  show(bar, box.left + x(run[STARTED]), box.top + AXIS + top - scroll.scrollTop);
  at("said").textContent = told(run);
}

function beside(by, rowBy) {
  const drawn = shown.filter((row) => !row.heading && row.bars.some((bar) => matches(bar.run)));
  if (!drawn.length) return null;
  if (!chosen || !drawn.includes(chosen.row)) return drawn[0].bars.find((bar) => matches(bar.run));
  const row = drawn[Math.min(Math.max(drawn.indexOf(chosen.row) + rowBy, 0), drawn.length - 1)];
  const own = row.bars.filter((bar) => matches(bar.run));
  if (row !== chosen.row) {
    const from = chosen.run[STARTED];
    return own.reduce((a, b) => Math.abs(b.run[STARTED] - from) < Math.abs(a.run[STARTED] - from) ? b : a);
  }
  return own[Math.min(Math.max(own.indexOf(chosen) + by, 0), own.length - 1)];
}

canvas.addEventListener("keydown", (event) => {
  const keys = {
    ArrowRight: () => go(beside(1, 0)), ArrowLeft: () => go(beside(-1, 0)),
    ArrowDown: () => go(beside(0, 1)), ArrowUp: () => go(beside(0, -1)),
    "+": () => zoom(0.6), "=": () => zoom(0.6), "-": () => zoom(1.6), 0: () => look(0, END),
    Escape: () => show(null),
  };
  if (!keys[event.key] || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  keys[event.key]();
});
at("in").addEventListener("click", () => zoom(0.5));
at("out").addEventListener("click", () => zoom(2));
at("all").addEventListener("click", () => look(0, END));

// The same runs as a table, a page at a time.
const PAGE = 200;
let page = 0;
function table() {
  if (!at("every").open) return;
  const found = runs.filter((run) => matches(run)
    && (!wantedEnvironment || names[ENVIRONMENT][run[ENVIRONMENT]] === wantedEnvironment));
  const last = Math.max(Math.ceil(found.length / PAGE) - 1, 0);
  page = Math.min(page, last);
  at("rows").replaceChildren(...found.slice(page * PAGE, (page + 1) * PAGE).map(line));
  at("page").textContent = "Page " + (page + 1) + " of " + (last + 1) + ", " + found.length + " runs";
  at("previous").disabled = page === 0;
  at("next").disabled = page === last;
}

function line(run) {
  const row = document.createElement("tr");
  const again = run[ATTEMPT] > 1 ? " (attempt " + run[ATTEMPT] + ")" : "";
  const words = [run[RUN], names[PROJECT][run[PROJECT]], names[VERSION][run[VERSION]],
    names[ENVIRONMENT][run[ENVIRONMENT]], names[MACHINE][run[MACHINE]], names[STEP][run[STEP]] + again, state(run)];
  const numbers = [run[EXIT] === null ? "–" : String(run[EXIT]), said(run[READY]), said(plus(run[READY], run[GRANTED])),
    said(plus(run[GRANTED], run[STARTED])), said(plus(run[STARTED], run[FINISHED]))];
  [...words, ...numbers].forEach((text, n) => {
    const cell = row.insertCell();
    cell.textContent = text;
    if (n >= words.length) cell.className = "n";
    if (n === words.length - 1 && bad(run)) cell.className = "bad";
  });
  return row;
}

function filter() {
  wantedProject = at("project").value.trim().toLowerCase();
  wantedEnvironment = at("environment").value;
  show(null);
  arrange();
  page = 0;
  table();
}
at("project").addEventListener("input", filter);
at("environment").addEventListener("input", filter);
at("every").addEventListener("toggle", table);
at("previous").addEventListener("click", () => { page -= 1; table(); });
at("next").addEventListener("click", () => { page += 1; table(); });

const option = (text) => { const made = document.createElement("option"); made.value = made.textContent = text; return made; };
at("projects").append(...[...names[PROJECT]].sort().map(option));
at("environment").append(...names[ENVIRONMENT].map(option));
at("most").textContent = String(most);
pen.font = "12px system-ui, sans-serif";
left = Math.min(Math.max(...names[MACHINE].map((name) => pen.measureText(name).width), 70) + 32, 240);
dark.addEventListener("change", () => { choose(); draw(); });
addEventListener("resize", arrange);
choose();
arrange();
