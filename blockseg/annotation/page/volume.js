// The voxels of one pick. Arrays are flat, in C order: voxel (z, y, x) is z·Y·X + y·X + x.
import { getJson, getVoxels, pickPath } from "./api.js";

export const IGNORE = 255;
const SLAB = 10;      // planes to each side in the projection of a slab

export class Volume {
  static async load(name) {
    const path = pickPath(name);
    const head = await getJson(path);
    const [image, label, probability] = await Promise.all([
      getVoxels(`${path}/image`, head.dtype),
      getVoxels(`${path}/label`, "uint8"),
      head.probability ? getVoxels(`${path}/probability`, "uint8") : null,
    ]);
    return new Volume(head, image.voxels, label.voxels, probability?.voxels ?? null, label.revision);
  }

  constructor(head, image, label, probability, revision) {
    Object.assign(this, { head, image, label, probability, revision });
    [this.Z, this.Y, this.X] = head.shape;
    this.plane = this.Y * this.X;
    // Edge of a voxel along z, y, x, in edges along x.
    this.edge = head.voxel_size.map((size) => size / head.voxel_size[2]);
    this.levels = this.image instanceof Uint16Array ? 65536 : 256;
    this.histogram = this.#histogram();
    this.imageCode = this.#scaledToByte();
    this.bright = new this.image.constructor(this.plane);
    this.marked = new Uint8Array(this.plane);
    this.slab = false;
    this.range = [0, this.Z];
    this.stale = new Uint8Array(this.plane);
    this.staleColumns = [];
    this.project(0, true);
  }

  inside(z, y, x) {
    return z >= 0 && y >= 0 && x >= 0 && z < this.Z && y < this.Y && x < this.X;
  }

  // Where the label has most in a plane, near the middle of that; else the middle of the pick.
  firstPlace() {
    const [Z, Y, X] = this.head.shape;
    let best = 0, plane = Z >> 1;
    for (let z = 0; z < Z; z++) {
      let count = 0;
      for (let n = z * this.plane; n < (z + 1) * this.plane; n++) count += this.label[n] === 1;
      if (count > best) [best, plane] = [count, z];
    }
    let found = [plane, Y >> 1, X >> 1], least = best ? Infinity : 0;
    for (let y = 0; best && y < Y; y++) {
      for (let x = 0; x < X; x++) {
        const away = (y - Y / 2) ** 2 + (x - X / 2) ** 2;
        if (away < least && this.label[this.index(plane, y, x)] === 1) [least, found] = [away, [plane, y, x]];
      }
    }
    return found;
  }

  index(z, y, x) { return z * this.plane + y * this.X + x; }

  grey(code) { return this.head.low + code * this.head.step; }

  // What threshold tools go by: the probability, or the image on its shown scale, 0 to 255.
  field(name) {
    if (name === "probability" && this.probability) return { data: this.probability, of: (v) => v };
    return { data: this.image, of: this.imageCode };
  }

  percentile(share) {
    let left = share * this.image.length;
    for (let code = 0; code < this.levels; code++) {
      left -= this.histogram[code];
      if (left <= 0) return code;
    }
    return this.levels - 1;
  }

  #histogram() {
    const counts = new Uint32Array(this.levels);
    for (const code of this.image) counts[code]++;
    return counts;
  }

  #scaledToByte() {
    const low = this.percentile(0.01), high = Math.max(this.percentile(0.9995), low + 1);
    return (code) => Math.min(255, Math.max(0, Math.round(255 * (code - low) / (high - low))));
  }

  // Maximum along z over all planes, or over those near z; of the label, whether any is a
  // neurite.
  project(z, always = false) {
    const range = this.slab ? [Math.max(0, z - SLAB), Math.min(this.Z, z + SLAB + 1)] : [0, this.Z];
    if (!always && range[0] === this.range[0] && range[1] === this.range[1]) return;
    this.range = range;
    this.bright.fill(0);
    this.marked.fill(0);
    const { image, label, bright, marked, plane } = this;
    for (let k = range[0]; k < range[1]; k++) {
      const base = k * plane;
      for (let i = 0; i < plane; i++) {
        const value = image[base + i];
        if (value > bright[i]) bright[i] = value;
        if (label[base + i] === 1) marked[i] = 1;
      }
    }
    this.stale.fill(0);
    this.staleColumns.length = 0;
  }

  touch(index) {
    const column = index % this.plane;
    if (!this.stale[column]) { this.stale[column] = 1; this.staleColumns.push(column); }
  }

  // Bring the projection up to date where the label changed.
  refresh() {
    const { label, marked, plane, stale } = this;
    for (const column of this.staleColumns) {
      let found = 0;
      for (let k = this.range[0]; k < this.range[1] && !found; k++) found = label[k * plane + column] === 1 ? 1 : 0;
      marked[column] = found;
      stale[column] = 0;
    }
    this.staleColumns.length = 0;
  }

  brightestPlane(y, x) {
    let best = this.range[0];
    for (let z = this.range[0]; z < this.range[1]; z++) {
      if (this.image[this.index(z, y, x)] > this.image[this.index(best, y, x)]) best = z;
    }
    return best;
  }
}
