// Strokes: what they change, how they are taken back, and how they reach the disk.
import { pickPath, post } from "./api.js";

// A stroke while it is drawn: the voxels it changed, each with the value it had.
export class Stroke {
  constructor(volume, value) {
    this.volume = volume;
    this.value = value;
    this.packed = [];   // index · 4 + code of the old value; exact up to 2^51 voxels
  }

  set(index) {
    const { label } = this.volume;
    const old = label[index];
    if (old === this.value) return;
    this.packed.push(index * 4 + (old === 255 ? 2 : old));
    label[index] = this.value;
    this.volume.touch(index);
  }

  // Runs of three numbers (start, length, value): to draw it again, and to take it back.
  finish() {
    const packed = Float64Array.from(this.packed).sort();
    const redo = [], undo = [];
    for (const one of packed) {
      const code = one % 4, index = (one - code) / 4;
      extend(redo, index, this.value);
      extend(undo, index, code === 2 ? 255 : code);
    }
    return { redo: Uint32Array.from(redo), undo: Uint32Array.from(undo), voxels: packed.length };
  }
}

function extend(runs, index, value) {
  const last = runs.length - 3;
  if (last >= 0 && runs[last] + runs[last + 1] === index && runs[last + 2] === value) runs[last + 1]++;
  else runs.push(index, 1, value);
}

// Runs that make one label of another.
export function difference(from, to) {
  const redo = [], undo = [];
  for (let i = 0; i < from.length; i++) {
    if (from[i] === to[i]) continue;
    extend(redo, i, to[i]);
    extend(undo, i, from[i]);
  }
  return { redo: Uint32Array.from(redo), undo: Uint32Array.from(undo), voxels: undo.length };
}

export class History {
  constructor(volume, saver) {
    this.volume = volume;
    this.saver = saver;
    this.past = [];
    this.future = [];
  }

  // Take a stroke that is on the screen already.
  push(entry) {
    if (!entry.voxels) return;
    this.past.push(entry);
    this.future.length = 0;
    this.saver.add(entry.redo);
  }

  undo() { this.#move(this.past, this.future, "undo"); }
  redo() { this.#move(this.future, this.past, "redo"); }

  apply(runs) {
    for (let i = 0; i < runs.length; i += 3) {
      const [start, length, value] = runs.subarray(i, i + 3);
      this.volume.label.fill(value, start, start + length);
      for (let at = start; at < start + length; at++) this.volume.touch(at);
    }
    this.saver.add(runs);
  }

  #move(from, to, what) {
    const entry = from.pop();
    if (!entry) return;
    this.apply(entry[what]);
    to.push(entry);
  }
}

// Sends strokes one after the other; those that come while one is written go together.
export class Saver {
  constructor(volume, show) {
    this.volume = volume;
    this.show = show;
    this.waiting = [];
    this.busy = null;
  }

  add(runs) {
    if (!runs.length) return;
    this.waiting.push(runs);
    this.busy ??= this.#send();
  }

  get pending() { return this.busy !== null; }

  async settled() { while (this.busy) await this.busy; }

  async #send() {
    const { name } = this.volume.head.pick;
    while (this.waiting.length) {
      this.show("saving");
      const body = joined(this.waiting.splice(0));
      for (;;) {
        try {
          const path = `${pickPath(name)}/stroke/${this.volume.revision}`;
          this.volume.revision = (await post(path, body)).revision;
          break;
        } catch (error) {
          this.show("failed", error.message);
          if (error.status) { this.waiting.length = 0; this.busy = null; return; }
          await new Promise((resolve) => setTimeout(resolve, 1000));  // the server is away
        }
      }
    }
    this.busy = null;
    this.show("saved");
  }
}

function joined(parts) {
  const whole = new Uint32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) { whole.set(part, at); at += part.length; }
  return whole;
}
