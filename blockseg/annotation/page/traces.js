// Skeletons over the image, and the edits that proofreaders make: split, join, delete, accept.
import { getJson, pickPath, post } from "./api.js";

const NEAR = 2.5;      // voxels from the plane in which a node is drawn
const CLICK = 10;      // pixels from a node in which a click means it
const COLOURS = ["#4dd2ff", "#ffd24d", "#7dff7d", "#ff8df0", "#ffa066", "#9db2ff", "#66ffd9", "#e6ff66"];

export class Traces {
  constructor(show, redraw) {
    this.show = show;
    this.redraw = redraw;
    this.traces = [];
    this.chosen = null;   // { trace, node }
    this.before = null;   // the one that was chosen before, to join with
  }

  async load(name) {
    this.name = name;
    this.chosen = this.before = null;
    this.#take(await getJson(`${pickPath(name)}/traces`));
  }

  #take({ traces }) {
    this.traces = traces.map((trace, number) => ({
      ...trace,
      colour: COLOURS[number % COLOURS.length],
      byId: new Map(trace.nodes.map(([id, z, y, x, parent]) => [id, { id, at: [z, y, x], parent }])),
    }));
    const kept = this.chosen && this.traces.find(({ name, byId }) => name === this.chosen.trace && byId.has(this.chosen.node));
    if (!kept) this.chosen = null;
    this.before = null;
    this.say();
    this.redraw();
  }

  draw(view) {
    const { context } = view;
    for (const trace of this.traces) {
      const mine = this.chosen?.trace === trace.name;
      context.strokeStyle = trace.colour;
      context.lineWidth = mine ? 3 : 1.5;
      context.setLineDash(trace.accepted ? [] : [6, 3]);
      context.beginPath();
      let last = null;   // dashes go on from node to node only along one line
      for (const node of trace.byId.values()) {
        const parent = trace.byId.get(node.parent);
        if (!parent || !(this.#seen(view, node) || this.#seen(view, parent))) continue;
        if (last !== parent) context.moveTo(...view.screen(parent.at));
        context.lineTo(...view.screen(node.at));
        last = node;
      }
      context.stroke();
      context.setLineDash([]);
    }
    for (const [which, colour] of [[this.before, "#fff"], [this.chosen, "#ffb454"]]) {
      const node = this.#node(which);
      if (!node || !this.#seen(view, node)) continue;
      context.fillStyle = colour;
      context.beginPath();
      context.arc(...view.screen(node.at), 5, 0, 2 * Math.PI);
      context.fill();
    }
  }

  #seen(view, node) {
    return view.projection || Math.abs(node.at[view.axis] - view.state.cursor[view.axis]) <= NEAR;
  }

  #node(which) {
    return which && this.traces.find(({ name }) => name === which.trace)?.byId.get(which.node);
  }

  // Choose the node nearest to a place on a view's canvas; returns where it is.
  choose(view, x, y) {
    let best = null, least = CLICK * (window.devicePixelRatio || 1);
    for (const trace of this.traces) {
      for (const node of trace.byId.values()) {
        if (!this.#seen(view, node)) continue;
        const [sx, sy] = view.screen(node.at), far = Math.hypot(sx - x, sy - y);
        if (far < least) { least = far; best = { trace: trace.name, node: node.id, at: node.at }; }
      }
    }
    if (best) { this.before = this.chosen; this.chosen = best; }
    this.say();
    this.redraw();
    return best?.at ?? null;
  }

  say() {
    const trace = this.chosen && this.traces.find(({ name }) => name === this.chosen.trace);
    if (!trace) { this.show(`${this.traces.length} traces here; click a node (6).`); return; }
    const state = trace.accepted ? "accepted" : "not accepted";
    const other = this.before && this.before.trace !== this.chosen.trace ? `; J joins it to ${this.before.trace}` : "";
    this.show(`${trace.name}, node ${this.chosen.node}, ${state}${other}`);
  }

  async edit(what) {
    const { chosen, before } = this;
    const wanted = { trace: chosen?.trace, node: chosen?.node };
    if (what !== "undo" && !chosen) return;
    if (what === "join") {
      if (!before || before.trace === chosen.trace) { this.show("Click a node of one trace, then one of another, then join."); return; }
      Object.assign(wanted, { trace: before.trace, node: before.node, other: chosen.trace, other_node: chosen.node });
    }
    if (what === "accept") wanted.yes = !this.traces.find(({ name }) => name === chosen.trace).accepted;
    this.#take(await post(`${pickPath(this.name)}/traces`, { do: what, ...wanted }));
  }
}
