// Requests to the server that this page came from. Paths are relative: the secret is in
// the page's own address.

async function answer(response) {
  if (response.ok) return response;
  let text = `${response.status} ${response.statusText}`;
  try { text = (await response.json()).error ?? text; } catch { /* no JSON: the line will do */ }
  const error = new Error(text);
  error.status = response.status;
  throw error;
}

export async function getJson(path) {
  return (await answer(await fetch(`api/${path}`))).json();
}

export async function getVoxels(path, kind) {
  const response = await answer(await fetch(`api/${path}`));
  const revision = response.headers.get("X-Revision");
  const buffer = await response.arrayBuffer();
  const voxels = kind === "uint16" ? new Uint16Array(buffer) : new Uint8Array(buffer);
  return { voxels, revision: Number(revision) };
}

export async function post(path, body, keepalive = false) {
  const raw = body instanceof Uint32Array;
  const response = await fetch(`api/${path}`, {
    method: "POST", keepalive,
    headers: { "Content-Type": raw ? "application/octet-stream" : "application/json" },
    body: raw ? body : JSON.stringify(body),
  });
  return (await answer(response)).json();
}

export const pickPath = (name) => `pick/${encodeURIComponent(name)}`;
