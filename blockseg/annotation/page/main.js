// The page: picks, views, tools and keys put together.
import { getJson, getVoxels, pickPath, post } from "./api.js";
import { fillHelp } from "./keys.js";
import { difference, History, Saver, Stroke } from "./strokes.js";
import { along, brush, flood, nearest } from "./tools.js";
import { Traces } from "./traces.js";
import { Training } from "./training.js";
import { colourTables, contrastTable, View } from "./view.js";
import { IGNORE, Volume } from "./volume.js";

const byId = (id) => document.getElementById(id);
const TOOLS = [["paint", "Paint", "1"], ["erase", "Erase", "2"], ["ignore", "Ignore", "3"], ["threshold", "Threshold", "4"], ["flood", "Flood", "5"], ["node", "Node", "6"]];
const VALUES = { paint: 1, erase: 0, ignore: IGNORE, threshold: 1, flood: 1 };
const IDLE = 30_000, COUNTED = 10_000;   // ms without a hand on it; ms between two messages
const FRAMES = 2_000;                    // frames whose times are kept

const state = {
  picks: [], current: -1, tool: "paint", size: 2, ball: false, threshold: 128, field: "probability",
  cursor: [0, 0, 0], centre: [0, 0, 0], zoom: 1, brushed: true, stroke: null, offered: {},
};
const frames = { draw: [], between: [], opened: 0, last: 0 };
const views = ["z", "x", "y", "m"].map((kind) => new View(kind, byId(`view-${kind}`), state));
let volume = null, history = null, saver = null, traces = null, training = null, hovered = views[0];

// ---- frames

let asked = false;
function redraw() {
  if (asked || !volume) return;
  asked = true;
  requestAnimationFrame(frame);
}

function frame(now) {
  asked = false;
  const begin = performance.now();
  volume.project(state.cursor[0]);
  volume.refresh();
  const field = volume.field(state.field);
  const palette = {
    tables: state.tables, grey: state.grey, field, labels: byId("show-label").checked,
    above: byId("show-field").checked ? state.threshold : 0,
  };
  for (const view of views) { view.resize(); view.draw(palette, traces); }
  say();
  if (state.stroke) {
    keep(frames.draw, performance.now() - begin);
    if (frames.last) keep(frames.between, now - frames.last);
    frames.last = now;
  }
}

function keep(list, value) { list.push(value); if (list.length > FRAMES) list.shift(); }

function say() {
  const [z, y, x] = state.cursor, at = volume.index(z, y, x);
  const value = volume.grey(volume.image[at]);
  const p = volume.probability ? `, p ${(volume.probability[at] / 255).toFixed(2)}` : "";
  const names = { 0: "background", 1: "neurite", 255: "ignored" };
  byId("where").textContent = `z ${z}  y ${y}  x ${x}: ${Number(value.toPrecision(5))}${p}, ${names[volume.label[at]]}`;
}

// ---- picks

async function open(number) {
  if (!state.picks[number] || state.opening) return;
  state.opening = true;
  try {
    await saver?.settled();
    spend();
    const begin = performance.now(), { name } = state.picks[number];
    const next = await Volume.load(name);
    volume = next;
    state.current = number;
    saver = new Saver(volume, showSaved);
    history = new History(volume, saver);
    state.cursor = volume.firstPlace();
    whole();
    for (const view of views) view.setVolume(volume);
    if (!volume.probability) state.field = "image";
    else if (byId("field").dataset.chosen !== "yes") state.field = "probability";
    byId("field").value = state.field;
    byId("field").options[0].disabled = !volume.probability;
    contrastAsAtFirst();
    if (state.offered.traces) await traces.load(name);
    describe();
    showSaved("saved");
    redraw();
    await new Promise(requestAnimationFrame);
    frames.opened = performance.now() - begin;
    document.body.dataset.open = name;
  } catch (error) {
    banner(error.message);
  } finally {
    state.opening = false;
  }
}

function describe() {
  const pick = state.picks[state.current];
  byId("name").textContent = pick.name;
  byId("reason").textContent = `${volume.head.shape.join(" × ")} voxels. ${pick.reason}`;
  byId("done").setAttribute("aria-pressed", pick.state === "done");
  byId("skip").setAttribute("aria-pressed", pick.state === "skipped");
  byId("measures").replaceChildren(...Object.entries(pick.measures).filter(([, v]) => v !== null).map(([name, value]) => {
    const row = document.createElement("tr");
    for (const text of [name.replaceAll("_", " "), Number(Number(value).toPrecision(4)).toString()]) row.append(Object.assign(document.createElement("td"), { textContent: text }));
    return row;
  }));
  list();
}

function list() {
  const marks = { done: "✓", skipped: "–", "": "·" };
  const same = shared(state.picks.map((pick) => pick.name));
  byId("picks").replaceChildren(...state.picks.map((pick, number) => {
    const item = document.createElement("li");
    item.dataset.state = pick.state;
    item.title = `${pick.name}: ${pick.reason}`;
    if (number === state.current) item.setAttribute("aria-current", "true");
    const mark = Object.assign(document.createElement("span"), { className: "mark", textContent: marks[pick.state] });
    const name = Object.assign(document.createElement("span"), { className: "name", textContent: pick.name.slice(same) });
    const minutes = Object.assign(document.createElement("span"), { className: "minutes", textContent: pick.minutes >= 0.05 ? `${pick.minutes.toFixed(pick.minutes < 10 ? 1 : 0)} min` : "" });
    item.append(mark, name, minutes);
    item.addEventListener("click", () => open(number));
    return item;
  }));
  const done = state.picks.filter((pick) => pick.state === "done").length;
  const skipped = state.picks.filter((pick) => pick.state === "skipped").length;
  byId("progress").value = (done + skipped) / state.picks.length;
  byId("counts").textContent = `${done} of ${state.picks.length} done${skipped ? `, ${skipped} skipped` : ""}`;
}

// Letters with which all names begin, up to a place such as z00000: they tell nothing apart.
function shared(names) {
  const found = names.map((name) => name.search(/z\d+_y\d+_x\d+$/)), [first] = found;
  return found.every((n) => n === first) && names.every((name) => name.slice(0, first) === names[0].slice(0, first)) ? Math.max(first, 0) : 0;
}

async function mark(what) {
  const pick = state.picks[state.current], wanted = pick.state === what ? "" : what;
  await saver.settled();
  try {
    Object.assign(pick, (await post(`${pickPath(pick.name)}/state`, { state: wanted })).pick);
  } catch (error) { banner(error.message); return; }
  describe();
  const next = state.picks.findIndex((one, number) => number > state.current && !one.state);
  if (wanted && next >= 0) await open(next);
}

// ---- time that somebody works

let touched = performance.now(), since = performance.now();
function spend() {
  const now = performance.now(), busy = document.visibilityState === "visible" && now - touched < IDLE;
  const seconds = Math.min(120, (now - since) / 1000);
  since = now;
  const pick = state.picks[state.current];
  if (!busy || !pick || seconds < 0.1) return;
  post(`${pickPath(pick.name)}/state`, { seconds }, true).then((answer) => { Object.assign(pick, answer.pick); list(); }, () => {});
}
setInterval(spend, COUNTED);
addEventListener("pagehide", spend);
for (const kind of ["pointerdown", "pointermove", "keydown", "wheel"]) addEventListener(kind, () => { touched = performance.now(); }, { passive: true });
addEventListener("beforeunload", (event) => { if (saver?.pending) event.preventDefault(); });

// ---- tools

function choose(tool) {
  state.tool = tool;
  state.brushed = !["flood", "node"].includes(tool);
  for (const button of byId("toolbar").children) button.setAttribute("aria-pressed", button.dataset.tool === tool);
  redraw();
}

function painter() {
  const field = volume.field(state.field), { threshold } = state;
  if (state.tool !== "threshold") return (index) => state.stroke.set(index);
  return (index) => { if (field.of(field.data[index]) >= threshold) state.stroke.set(index); };
}

function strokeTo(view, voxel) {
  const paint = painter();
  for (const at of along(state.stroke.at, voxel, state.size)) brush(volume, view.axis, at, state.size, state.ball, paint);
  state.stroke.at = voxel;
  redraw();
}

function finish() {
  if (!state.stroke) return;
  const stroke = state.stroke;
  state.stroke = null;
  frames.last = 0;
  history.push(stroke.finish());
  redraw();
}

function floodAt(voxel, erase) {
  const field = volume.field(state.field), { label } = volume;
  const holds = erase ? (index) => label[index] === 1 : (index) => field.of(field.data[index]) >= state.threshold && label[index] !== IGNORE;
  const start = nearest(volume, voxel, holds);
  if (!start) return;
  const stroke = new Stroke(volume, erase ? 0 : 1), found = [];
  flood(volume, start, holds, (index) => found.push(index));
  for (const index of found) stroke.set(index);
  history.push(stroke.finish());
  redraw();
}

function pressed(view, event) {
  if (!volume) return;
  view.canvas.focus({ preventScroll: true });
  const voxel = view.voxelAt(event);
  if (event.button === 1 || event.altKey) { state.drag = [event.clientX, event.clientY]; return; }
  if (state.tool === "node" && traces && event.button === 0) {
    const ratio = view.canvas.width / view.canvas.getBoundingClientRect().width;
    const at = traces.choose(view, event.offsetX * ratio, event.offsetY * ratio);
    if (at) { moveTo(at.map(Math.round)); return; }
  }
  if (!voxel) return;
  if (event.button === 2 || view.projection) { moveTo(voxel); return; }
  if (event.button !== 0 || state.tool === "node") return;
  state.cursor[view.right] = voxel[view.right];
  state.cursor[view.down] = voxel[view.down];
  if (state.tool === "flood") { floodAt(voxel, event.shiftKey); return; }
  view.canvas.setPointerCapture(event.pointerId);
  state.stroke = new Stroke(volume, event.shiftKey && state.tool === "paint" ? 0 : VALUES[state.tool]);
  state.stroke.at = voxel;
  brush(volume, view.axis, voxel, state.size, state.ball, painter());
  redraw();
}

function moved(view, event) {
  if (!volume) return;
  hovered = view;
  if (state.drag) {
    const ratio = window.devicePixelRatio || 1, [sx, sy] = view.scale;
    state.centre[view.right] -= (event.clientX - state.drag[0]) * ratio / sx;
    state.centre[view.down] -= (event.clientY - state.drag[1]) * ratio / sy;
    state.drag = [event.clientX, event.clientY];
  }
  for (const one of views) one.pointer = null;
  // A fast hand moves several times a frame: every place counts.
  for (const one of event.getCoalescedEvents?.() ?? [event]) {
    const voxel = view.voxelAt(one);
    view.pointer = voxel;
    if (state.stroke && voxel) strokeTo(view, voxel);
  }
  redraw();
}

function moveTo(voxel) {
  state.cursor = voxel.map((n, k) => Math.min(volume.head.shape[k] - 1, Math.max(0, n)));
  redraw();
}

function scroll(view, by) {
  const voxel = [...state.cursor];
  voxel[view.axis] += by;
  moveTo(voxel);
}

function whole() {
  state.zoom = 1;
  state.centre = volume.head.shape.map((n) => n / 2);
  redraw();
}

// ---- contrast

function contrastAsAtFirst() {
  const low = volume.percentile(0.005), high = Math.max(low + 1, volume.percentile(0.9995));
  state.span = [Math.max(0, low - (high - low)), Math.min(volume.levels - 1, high + (high - low))];
  const share = (code) => Math.round(1000 * (code - state.span[0]) / (state.span[1] - state.span[0]));
  byId("low").value = share(low);
  byId("high").value = share(high);
  contrast();
}

function contrast() {
  const code = (id) => state.span[0] + (state.span[1] - state.span[0]) * byId(id).value / 1000;
  const [low, high] = [code("low"), code("high")];
  state.grey = contrastTable(volume.levels, low, Math.max(high, low + 1));
  state.tables = colourTables(byId("opacity").value / 100);
  byId("low-out").textContent = Number(volume.grey(low).toPrecision(5));
  byId("high-out").textContent = Number(volume.grey(high).toPrecision(5));
  redraw();
}

function sizes() {
  byId("size").value = state.size;
  byId("size-out").textContent = `${2 * state.size + 1} voxels`;
  byId("threshold").value = state.threshold;
  byId("threshold-out").textContent = state.field === "probability" ? (state.threshold / 255).toFixed(2) : state.threshold;
  byId("ball").checked = state.ball;
  redraw();
}

const bounded = (value, low, high) => Math.min(high, Math.max(low, value));
function toggle(id) { byId(id).checked = !byId(id).checked; redraw(); }
function resize(by) { state.size = bounded(state.size + by, 0, 40); sizes(); }
function threshold(by) { state.threshold = bounded(state.threshold + by, 1, 255); sizes(); }
function ball() { state.ball = !state.ball; sizes(); }
function projection() {
  volume.slab = !volume.slab;
  byId("projection").textContent = volume.slab ? "maximum of 21 planes" : "maximum along z";
  redraw();
}

async function revert() {
  const { voxels } = await getVoxels(`${pickPath(volume.head.pick.name)}/draft`, "uint8");
  const entry = difference(volume.label, voxels);
  if (!entry.voxels) return;
  history.apply(entry.redo);
  history.past.push(entry);
  history.future.length = 0;
  redraw();
}

// ---- words for the user

function showSaved(what, why = "") {
  byId("saved").dataset.state = what;
  byId("saved").textContent = what === "failed" ? `not saved: ${why}` : what;
  if (what === "failed") banner(`Not saved: ${why}`); else byId("banner").hidden = true;
}

function banner(text) { byId("banner").textContent = text; byId("banner").hidden = false; }

function help() { if (byId("help").open) byId("help").close(); else byId("help").showModal(); }
function edit(what) { traces?.edit(what).catch((error) => banner(error.message)); }

const ACTIONS = {
  "1": () => choose("paint"), b: () => choose("paint"), "2": () => choose("erase"), e: () => choose("erase"),
  "3": () => choose("ignore"), i: () => choose("ignore"), "4": () => choose("threshold"), t: () => choose("threshold"),
  "5": () => choose("flood"), f: () => choose("flood"), "6": () => choose("node"), k: () => choose("node"),
  "[": () => resize(-1), "]": () => resize(1), v: ball, "-": () => threshold(-5), "=": () => threshold(5), "+": () => threshold(5),
  l: () => toggle("show-label"), g: () => toggle("show-field"), c: contrastAsAtFirst, m: projection, "0": whole,
  d: () => mark("done"), s: () => mark("skipped"), n: () => open(state.current + 1), p: () => open(state.current - 1), "?": help,
  x: () => edit("split"), j: () => edit("join"), delete: () => edit("delete"), a: () => edit("accept"), u: () => edit("undo"),
};

addEventListener("keydown", (event) => {
  if (!volume || byId("help").open && event.key !== "?" || event.target instanceof HTMLSelectElement) return;
  const key = event.key.toLowerCase();
  if (event.ctrlKey || event.metaKey) {
    if (key === "z" || key === "y") {
      event.preventDefault();
      finish();
      if (key === "y" || event.shiftKey) history.redo(); else history.undo();
      redraw();
    }
    return;
  }
  const by = { arrowup: -1, ",": -1, "<": -10, pageup: -10, arrowdown: 1, ".": 1, ">": 10, pagedown: 10 }[key];
  if (by && !(event.target instanceof HTMLInputElement)) { event.preventDefault(); scroll(hovered, event.shiftKey && Math.abs(by) === 1 ? by * 10 : by); return; }
  if (ACTIONS[key]) { event.preventDefault(); ACTIONS[key](); }
});

function wire() {
  for (const view of views) {
    const { canvas } = view;
    canvas.addEventListener("pointerdown", (event) => pressed(view, event));
    canvas.addEventListener("pointermove", (event) => moved(view, event));
    canvas.addEventListener("pointerleave", () => { view.pointer = null; redraw(); });
    for (const kind of ["pointerup", "pointercancel"]) canvas.addEventListener(kind, () => { state.drag = null; finish(); });
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      if (!volume) return;
      if (event.ctrlKey) { state.zoom = bounded(state.zoom * (event.deltaY < 0 ? 1.2 : 1 / 1.2), 0.5, 40); redraw(); }
      else scroll(view, Math.sign(event.deltaY) * (event.shiftKey ? 10 : 1));
    }, { passive: false });
  }
  for (const [tool, title, key] of TOOLS) {
    if (tool === "node" && !state.offered.traces) continue;
    const button = document.createElement("button");
    button.dataset.tool = tool;
    button.append(`${title} `, Object.assign(document.createElement("kbd"), { textContent: key }));
    button.addEventListener("click", () => choose(tool));
    byId("toolbar").append(button);
  }
  for (const id of ["low", "high", "opacity"]) byId(id).addEventListener("input", contrast);
  for (const id of ["show-label", "show-field"]) byId(id).addEventListener("input", redraw);
  byId("size").addEventListener("input", () => { state.size = Number(byId("size").value); sizes(); });
  byId("threshold").addEventListener("input", () => { state.threshold = Number(byId("threshold").value); sizes(); });
  byId("ball").addEventListener("input", ball);
  byId("field").addEventListener("input", () => { state.field = byId("field").value; byId("field").dataset.chosen = "yes"; sizes(); });
  const clicks = {
    done: () => mark("done"), skip: () => mark("skipped"), next: () => open(state.current + 1), previous: () => open(state.current - 1),
    undo: () => { history.undo(); redraw(); }, redo: () => { history.redo(); redraw(); }, revert,
    "help-open": help, "help-close": help,
  };
  for (const what of ["split", "join", "delete", "accept", "undo"]) clicks[`trace-${what}`] = () => edit(what);
  for (const [id, act] of Object.entries(clicks)) byId(id).addEventListener("click", () => Promise.resolve(act()).catch((error) => banner(error.message)));
  new ResizeObserver(redraw).observe(byId("views"));
}

async function start() {
  fillHelp(byId("keys"));
  try {
    state.offered = await getJson("picks");
  } catch (error) { banner(error.message); return; }
  state.picks = state.offered.picks;
  byId("folder").textContent = state.offered.folder.split("/").pop();
  byId("folder").title = state.offered.folder;
  byId("traces").hidden = !state.offered.traces;
  byId("training").hidden = !state.offered.training;
  if (state.offered.traces) traces = new Traces((text) => { byId("trace-state").textContent = text; }, redraw);
  if (state.offered.training) training = new Training(byId);
  wire();
  choose("paint");
  list();
  const first = state.picks.findIndex((pick) => !pick.state);
  await open(Math.max(0, first));
  sizes();
}

// For tests and for whoever asks how fast it is.
window.blockseg = { frames, state, views, get volume() { return volume; }, get saver() { return saver; }, get history() { return history; }, get traces() { return traces; }, get training() { return training; } };
start();
