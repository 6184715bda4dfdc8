// A training that was offered on the command line: started by a button, with its curves.
import { getJson, post } from "./api.js";

const EVERY = 1000;   // ms between two looks

export class Training {
  constructor(byId) {
    this.byId = byId;
    byId("training-start").addEventListener("click", () => this.#do("start"));
    byId("training-stop").addEventListener("click", () => this.#do("stop"));
    this.look();
  }

  async #do(what) { this.#show(await post("training", { do: what })); this.look(); }

  async look() {
    clearTimeout(this.timer);
    try { this.#show(await getJson("training")); } catch { /* the server is away; look again */ }
    if (this.last?.state === "running") this.timer = setTimeout(() => this.look(), EVERY);
  }

  #show(last) {
    this.last = last;
    const { byId } = this;
    byId("training-command").textContent = last.command;
    byId("training-state").textContent = last.state === "running" ? `${Math.round(100 * last.share)} %` : last.state;
    byId("training-start").disabled = last.state === "running";
    byId("training-stop").disabled = last.state !== "running";
    byId("training-lines").textContent = last.lines.slice(-6).join("\n");
    byId("training-lines").scrollTop = byId("training-lines").scrollHeight;
    curves(byId("training-curve"), last);
  }
}

function curves(canvas, { loss, scores }) {
  const ratio = window.devicePixelRatio || 1, context = canvas.getContext("2d");
  const { clientWidth: width, clientHeight: height } = canvas;
  Object.assign(canvas, { width: Math.round(width * ratio), height: Math.round(height * ratio) });   // clears it
  context.scale(ratio, ratio);
  const f1 = scores.map(([step, value]) => [step, value]);
  const last = Math.max(1, ...loss.map(([step]) => step), ...f1.map(([step]) => step));
  line(context, loss, last, Math.max(...loss.map(([, value]) => value), 1e-9), "#4dd2ff", width, height);
  line(context, f1, last, 1, "#62c073", width, height);
  context.font = "11px system-ui";
  context.fillStyle = "#4dd2ff";
  context.fillText(loss.length ? `loss ${loss.at(-1)[1].toFixed(4)}` : "loss", 6, 13);
  context.fillStyle = "#62c073";
  context.fillText(f1.length ? `F1 held out ${f1.at(-1)[1].toFixed(3)}` : "F1 held out", 110, 13);
  context.fillStyle = "#97a1ad";
  context.fillText(`step ${loss.at(-1)?.[0] ?? 0}`, 6, height - 5);
}

function line(context, points, last, most, colour, width, height) {
  context.strokeStyle = context.fillStyle = colour;
  context.lineWidth = 1.5;
  context.beginPath();
  points.forEach(([step, value], number) => {
    const x = 4 + (width - 8) * step / last, y = height - 16 - (height - 36) * value / most;
    if (number) context.lineTo(x, y); else context.moveTo(x, y);
    if (points.length < 30) context.fillRect(x - 1.5, y - 1.5, 3, 3);
  });
  context.stroke();
}
