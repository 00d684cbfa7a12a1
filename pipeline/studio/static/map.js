// Every clip as a point on a canvas: the wheel comes nearer, Shift moves, a line drawn around clips opens them.

import { colour, element, request, say } from "./api.js";
import { search } from "./state.js";

const at = (id) => document.getElementById(id);
const NEAR_PIXELS = 12;

export class ClipMap {
  constructor({ classes }) {
    this.classes = classes;
    this.canvas = at("map");
    this.view = { x: 0, y: 0, scale: 1 };
    this.lasso = [];
    at("colour").addEventListener("change", () => this.draw());
    at("map-whole").addEventListener("click", () => { this.view = { x: 0, y: 0, scale: 1 }; this.draw(); });
    this.canvas.addEventListener("keydown", (event) => this.key(event));
    this.canvas.addEventListener("wheel", (event) => this.zoom(event), { passive: false });
    this.canvas.addEventListener("pointerdown", (event) => this.drag(event));
    this.canvas.addEventListener("pointermove", (event) => this.point(event));
    new ResizeObserver(() => this.draw()).observe(this.canvas);
  }

  async enter() {
    say("Placing the clips …");
    this.points = await request("/api/map");
    say(`${this.points.clips.length} clips, placed by ${this.points.layout.toUpperCase()}`);
    this.draw();
  }

  /** Places of points on the canvas. */
  place(number) {
    const { width, height } = this.canvas;
    const { x, y, scale } = this.view;
    return [((this.points.x[number] - x) * scale * 0.94 + 0.03) * width, ((1 - this.points.y[number] - y) * scale * 0.94 + 0.03) * height];
  }

  kind(number) {
    return at("colour").value === "label" ? this.points.labels[number] : this.points.groups[number];
  }

  shade(kind) {
    if (kind === null) return "#8a8d91";
    return typeof kind === "number" ? colour(kind) : this.classes.colour(kind);
  }

  draw() {
    const { canvas } = this;
    const ratio = devicePixelRatio;
    canvas.width = canvas.clientWidth * ratio;
    canvas.height = canvas.clientHeight * ratio;
    if (!this.points || !canvas.width) return;
    const paper = canvas.getContext("2d");
    const size = Math.max(2, Math.min(7, 200 / Math.sqrt(this.points.clips.length))) * ratio;
    const kinds = new Map();
    for (let number = 0; number < this.points.clips.length; number += 1) {
      const kind = this.kind(number);
      if (!kinds.has(kind)) kinds.set(kind, []);
      kinds.get(kind).push(number);
    }
    for (const [kind, numbers] of [...kinds].sort((a, b) => (a[0] === null ? -1 : b[0] === null ? 1 : 0))) {
      paper.fillStyle = this.shade(kind);
      for (const number of numbers) {
        const [x, y] = this.place(number);
        paper.fillRect(x - size / 2, y - size / 2, size, size);
      }
    }
    this.drawMarks(paper, ratio);
    this.drawLegend(kinds);
  }

  drawMarks(paper, ratio) {
    paper.strokeStyle = getComputedStyle(this.canvas).color;
    paper.lineWidth = 2 * ratio;
    if (this.near !== undefined) {
      const [x, y] = this.place(this.near);
      paper.beginPath();
      paper.arc(x, y, 9 * ratio, 0, 2 * Math.PI);
      paper.stroke();
    }
    if (this.lasso.length > 1) {
      paper.beginPath();
      this.lasso.forEach(([x, y]) => paper.lineTo(x, y));
      paper.closePath();
      paper.stroke();
    }
  }

  drawLegend(kinds) {
    const named = (kind) => (typeof kind === "number" ? `group ${kind + 1} ${this.points.group_names[kind] ?? ""}` : kind ?? "no label");
    at("legend").replaceChildren(...[...kinds].map(([kind, numbers]) => {
      const dot = element("i");
      dot.style.background = this.shade(kind);
      return element("li", {}, dot, `${named(kind)} (${numbers.length})`);
    }));
  }

  at(event) {
    const { left, top } = this.canvas.getBoundingClientRect();
    return [(event.clientX - left) * devicePixelRatio, (event.clientY - top) * devicePixelRatio];
  }

  zoom(event) {
    event.preventDefault();
    const { width, height } = this.canvas;
    const [x, y] = this.at(event);
    this.scaleBy(Math.exp(-event.deltaY / 400), [x / width, y / height]);
  }

  /** Comes nearer to a place of the canvas, which stays where it is. */
  scaleBy(factor, [x, y]) {
    const before = [(x - 0.03) / this.view.scale / 0.94, (y - 0.03) / this.view.scale / 0.94];
    this.view.scale = Math.min(200, Math.max(1, this.view.scale * factor));
    const after = [(x - 0.03) / this.view.scale / 0.94, (y - 0.03) / this.view.scale / 0.94];
    this.view.x += before[0] - after[0];
    this.view.y += before[1] - after[1];
    this.draw();
  }

  /** Arrows go to the nearest clip in their direction, + and - come nearer, Enter opens the clip. */
  key(event) {
    if (!this.points || event.ctrlKey || event.metaKey || event.altKey) return;
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (event.key in steps) this.step(...steps[event.key]);
    else if (event.key === "+" || event.key === "-") this.scaleBy(event.key === "+" ? 1.5 : 1 / 1.5, this.near === undefined ? [0.5, 0.5] : this.shareOf(this.near));
    else if (event.key === "Enter" && this.near !== undefined) this.show([this.near]);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  step(dx, dy) {
    const { width, height } = this.canvas;
    const [x, y] = this.near === undefined ? [width / 2, height / 2] : this.place(this.near);
    let [best, least] = [this.near, Infinity];
    for (let number = 0; number < this.points.clips.length; number += 1) {
      const [px, py] = this.place(number);
      const along = (px - x) * dx + (py - y) * dy;
      const across = Math.abs((px - x) * dy) + Math.abs((py - y) * dx);
      const far = along + 3 * across;
      if (number !== this.near && along > 0 && across <= 2 * along && far < least) [best, least] = [number, far];
    }
    if (best === undefined && this.points.clips.length) best = 0;
    this.pointAt(best);
  }

  shareOf(number) {
    const [x, y] = this.place(number);
    return [x / this.canvas.width, y / this.canvas.height];
  }

  pointAt(number) {
    if (number === this.near) return;
    this.near = number;
    at("map-note").textContent = number === undefined ? "" : `${this.points.clips[number]} ${this.points.labels[number] ?? ""}`;
    this.draw();
  }

  point(event) {
    if (!this.points || event.buttons) return;
    const [x, y] = this.at(event);
    let [best, distance] = [undefined, NEAR_PIXELS * devicePixelRatio];
    for (let number = 0; number < this.points.clips.length; number += 1) {
      const [px, py] = this.place(number);
      const own = Math.hypot(px - x, py - y);
      if (own < distance) [best, distance] = [number, own];
    }
    this.pointAt(best);
  }

  drag(event) {
    this.canvas.setPointerCapture(event.pointerId);
    let last = this.at(event);
    this.lasso = event.shiftKey ? [] : [last];
    this.canvas.onpointermove = (one) => {
      const now = this.at(one);
      if (event.shiftKey) {
        this.view.x -= (now[0] - last[0]) / this.canvas.width / this.view.scale / 0.94;
        this.view.y -= (now[1] - last[1]) / this.canvas.height / this.view.scale / 0.94;
      } else this.lasso.push(now);
      last = now;
      this.draw();
    };
    this.canvas.onpointerup = () => {
      this.canvas.onpointermove = null;
      this.canvas.onpointerup = null;
      this.choose();
    };
  }

  /** Opens the clips inside of the line, or the one that was clicked on. */
  choose() {
    const line = this.lasso;
    this.lasso = [];
    if (!this.points || !line.length) return;
    const numbers = this.points.clips.map((_, number) => number);
    const inside = line.length > 8 ? numbers.filter((number) => contains(line, this.place(number))) : this.near === undefined ? [] : [this.near];
    this.draw();
    if (inside.length) this.show(inside);
  }

  /** Opens clips in the grid. */
  async show(numbers) {
    const clips = numbers.map((number) => this.points.clips[number]);
    const stored = await request("/api/selections", { method: "POST", json: { clips } });
    search({ selection: stored.selection });
  }
}

/** Whether a point lies in a polygon: a ray from it crosses the line an odd number of times. */
function contains(line, [x, y]) {
  let inside = false;
  for (let one = 0, other = line.length - 1; one < line.length; other = one, one += 1) {
    const [ax, ay] = line[one];
    const [bx, by] = line[other];
    if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) inside = !inside;
  }
  return inside;
}
