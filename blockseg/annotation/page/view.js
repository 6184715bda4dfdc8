// One of the four views: a plane through the cursor, or the projection. Each frame looks
// grey levels up in a table and draws the plane scaled; no frame costs more than its plane.
import { IGNORE } from "./volume.js";

const PLANES = { z: [0, 2, 1], y: [1, 2, 0], x: [2, 0, 1], m: [0, 2, 1] };  // normal, right, down
const TINTS = { 1: [255, 80, 60], [IGNORE]: [70, 120, 255] };
const FIELD = [190, 90, 255];

export class View {
  constructor(kind, canvas, state) {
    this.kind = kind;
    this.canvas = canvas;
    this.state = state;
    [this.axis, this.right, this.down] = PLANES[kind];
    this.projection = kind === "m";
    this.context = canvas.getContext("2d", { alpha: false });
    this.inner = document.createElement("canvas");
    this.pointer = null;
  }

  setVolume(volume) {
    this.volume = volume;
    this.width = volume.head.shape[this.right];
    this.height = volume.head.shape[this.down];
    this.inner.width = this.width;
    this.inner.height = this.height;
    this.innerContext = this.inner.getContext("2d");
    this.pixels = this.innerContext.createImageData(this.width, this.height);
    this.words = new Uint32Array(this.pixels.data.buffer);
  }

  resize() {
    const ratio = window.devicePixelRatio || 1, box = this.canvas.getBoundingClientRect();
    const width = Math.max(1, Math.round(box.width * ratio)), height = Math.max(1, Math.round(box.height * ratio));
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height });
  }

  // Screen pixels of a voxel, rightwards and downwards.
  get scale() {
    const { edge } = this.volume;
    const width = this.width * edge[this.right], height = this.height * edge[this.down];
    const fit = Math.min(this.canvas.width / width, this.canvas.height / height);
    return [fit * this.state.zoom * edge[this.right], fit * this.state.zoom * edge[this.down]];
  }

  // Where voxel (0, 0) of the plane has its corner on the screen.
  get origin() {
    const [sx, sy] = this.scale, { centre } = this.state;
    return [this.canvas.width / 2 - centre[this.right] * sx, this.canvas.height / 2 - centre[this.down] * sy];
  }

  // The voxel under an event, as (z, y, x); null outside of the volume.
  voxelAt(event) {
    const ratio = this.canvas.width / this.canvas.getBoundingClientRect().width;
    const [sx, sy] = this.scale, [ox, oy] = this.origin;
    const voxel = [...this.state.cursor];
    voxel[this.right] = Math.floor((event.offsetX * ratio - ox) / sx);
    voxel[this.down] = Math.floor((event.offsetY * ratio - oy) / sy);
    if (!this.volume.inside(...voxel)) return null;
    if (this.projection) voxel[0] = this.volume.brightestPlane(voxel[1], voxel[2]);
    return voxel;
  }

  // Where the centre of a voxel, whole or not, lies on the screen.
  screen(voxel) {
    const [sx, sy] = this.scale, [ox, oy] = this.origin;
    return [ox + (voxel[this.right] + 0.5) * sx, oy + (voxel[this.down] + 0.5) * sy];
  }

  draw(palette, traces) {
    if (this.projection) this.#fillProjection(palette); else this.#fillPlane(palette);
    this.innerContext.putImageData(this.pixels, 0, 0);
    const { context, canvas } = this, [sx, sy] = this.scale, [ox, oy] = this.origin;
    context.fillStyle = "#000";
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.imageSmoothingEnabled = false;
    context.drawImage(this.inner, ox, oy, this.width * sx, this.height * sy);
    this.#box();
    traces?.draw(this);
    this.#crosshair();
    this.#brush();
  }

  #fillPlane({ tables, grey, field, above, labels }) {
    const { image, label, plane, X } = this.volume, steps = [plane, X, 1];
    const start = this.state.cursor[this.axis] * steps[this.axis];
    const right = steps[this.right], down = steps[this.down], { words, width, height } = this;
    const [plain, neurite, ignored, hot] = tables;
    for (let row = 0, out = 0; row < height; row++) {
      let at = start + row * down;
      for (let column = 0; column < width; column++, out++, at += right) {
        const value = labels ? label[at] : 0;
        const table = value === 1 ? neurite : value === IGNORE ? ignored : above && field.of(field.data[at]) >= above ? hot : plain;
        words[out] = table[grey[image[at]]];
      }
    }
  }

  #fillProjection({ tables, grey, labels }) {
    const { bright, marked } = this.volume, { words } = this, [plain, neurite] = tables;
    for (let i = 0; i < words.length; i++) words[i] = (labels && marked[i] ? neurite : plain)[grey[bright[i]]];
  }

  #box() {
    const [low, high] = this.volume.head.box, { shape } = this.volume.head;
    if (low.every((n) => n === 0) && high.every((n, k) => n === shape[k])) return;
    const a = this.screen(low.map((n) => n - 0.5)), b = this.screen(high.map((n) => n - 0.5));
    this.context.strokeStyle = "rgb(255 255 255 / .35)";
    this.context.lineWidth = 1;
    this.context.strokeRect(a[0], a[1], b[0] - a[0], b[1] - a[1]);
  }

  #crosshair() {
    const [x, y] = this.screen(this.state.cursor), { context, canvas } = this;
    context.strokeStyle = "rgb(255 180 84 / .35)";
    context.lineWidth = 1;
    context.beginPath();
    for (const [x0, y0, x1, y1] of [[x, 0, x, y - 12], [x, y + 12, x, canvas.height], [0, y, x - 12, y], [x + 12, y, canvas.width, y]]) {
      context.moveTo(x0, y0);
      context.lineTo(x1, y1);
    }
    context.stroke();
  }

  #brush() {
    if (!this.pointer || this.projection || !this.state.brushed) return;
    const [sx, sy] = this.scale, [x, y] = this.screen(this.pointer), { edge } = this.volume;
    const reach = this.state.size + 0.5;
    this.context.strokeStyle = "#fff";
    this.context.lineWidth = 1;
    this.context.beginPath();
    this.context.ellipse(x, y, reach * sx / edge[this.right], reach * sy / edge[this.down], 0, 0, 2 * Math.PI);
    this.context.stroke();
  }
}

// Tables from a grey level of 0 to 255 to a pixel: plain, neurite, ignored, above threshold.
export function colourTables(opacity) {
  const tint = (colour, share) => Uint32Array.from({ length: 256 }, (_, grey) => {
    const [r, g, b] = (colour ?? [0, 0, 0]).map((c) => Math.round(grey * (1 - share) + c * share));
    return (255 << 24 | b << 16 | g << 8 | r) >>> 0;
  });
  return [tint(null, 0), tint(TINTS[1], opacity), tint(TINTS[IGNORE], opacity * 0.55), tint(FIELD, opacity * 0.7)];
}

// Table from the codes of an image to 0 … 255, between two codes.
export function contrastTable(levels, low, high) {
  const table = new Uint8Array(levels), width = Math.max(1, high - low);
  for (let code = 0; code < levels; code++) table[code] = Math.min(255, Math.max(0, 255 * (code - low) / width));
  return table;
}
