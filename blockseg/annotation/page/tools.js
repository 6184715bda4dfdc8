// Tools: which voxels a pointer changes. Radii are in voxels along x; on other axes the
// same length in µm.
const MOST = 4_000_000;   // voxels of a flood

// Call `visit(index)` for each voxel of a disk in a plane, or of a ball.
export function brush(volume, axis, centre, radius, ball, visit) {
  const reach = volume.edge.map((edge, k) => (!ball && k === axis ? 0 : radius / edge));
  const [Z, Y, X] = volume.head.shape, [cz, cy, cx] = centre;
  const around = (at, by, n) => [Math.max(0, Math.ceil(at - by - 0.5)), Math.min(n - 1, Math.floor(at + by + 0.5))];
  const [z0, z1] = around(cz, reach[0], Z), [y0, y1] = around(cy, reach[1], Y), [x0, x1] = around(cx, reach[2], X);
  const limit = (radius + 0.5) ** 2;
  const [ez, ey, ex] = volume.edge;
  for (let z = z0; z <= z1; z++) {
    if (!ball && axis === 0 && z !== cz) continue;
    for (let y = y0; y <= y1; y++) {
      if (!ball && axis === 1 && y !== cy) continue;
      const partial = ((z - cz) * ez) ** 2 + ((y - cy) * ey) ** 2;
      const base = z * volume.plane + y * X;
      for (let x = x0; x <= x1; x++) {
        if (!ball && axis === 2 && x !== cx) continue;
        if (partial + ((x - cx) * ex) ** 2 <= limit) visit(base + x);
      }
    }
  }
}

// Points from one voxel to another, near enough for a brush to leave no gap.
export function* along(from, to, radius) {
  const length = Math.hypot(...to.map((n, k) => n - from[k]));
  const steps = Math.max(1, Math.ceil(length / Math.max(1, radius / 2)));
  for (let i = 1; i <= steps; i++) yield to.map((n, k) => Math.round(from[k] + (n - from[k]) * i / steps));
}

// Visit what is linked to a voxel, by faces, edges and corners, among what `holds`.
export function flood(volume, start, holds, visit) {
  const { Z, Y, X, plane } = volume;
  const first = volume.index(...start);
  if (!holds(first)) return 0;
  const seen = new Uint8Array(volume.label.length);
  const queue = [first];
  seen[first] = 1;
  let count = 0;
  while (queue.length && count < MOST) {
    const at = queue.pop();
    visit(at);
    count++;
    const z = Math.floor(at / plane), y = Math.floor((at % plane) / X), x = at % X;
    for (let dz = z > 0 ? -1 : 0; dz <= (z < Z - 1 ? 1 : 0); dz++) {
      for (let dy = y > 0 ? -1 : 0; dy <= (y < Y - 1 ? 1 : 0); dy++) {
        for (let dx = x > 0 ? -1 : 0; dx <= (x < X - 1 ? 1 : 0); dx++) {
          const next = at + dz * plane + dy * X + dx;
          if (!seen[next] && holds(next)) { seen[next] = 1; queue.push(next); }
        }
      }
    }
  }
  return count;
}

// The voxel that a click means: the nearest one that `holds`, two voxels away at most.
export function nearest(volume, at, holds) {
  let best = null, least = Infinity;
  for (let dz = -2; dz <= 2; dz++) for (let dy = -2; dy <= 2; dy++) for (let dx = -2; dx <= 2; dx++) {
    const voxel = [at[0] + dz, at[1] + dy, at[2] + dx], far = dz * dz + dy * dy + dx * dx;
    if (far < least && volume.inside(...voxel) && holds(volume.index(...voxel))) { best = voxel; least = far; }
  }
  return best;
}
