// The classes, and labelling with them: one key for each of the first nine.

import { colour, element, follow, place, request, say } from "./api.js";

const NOT = "not:";
const HEAD = "studio"; // heads that were trained elsewhere stay as they are
const PAUSE_MS = 1500; // after the last label, before the head is trained again
const FEWEST = 2; // labels of a class
const MOST_STORED = 100; // classes without labels that the browser remembers
const at = (id) => document.getElementById(id);

export class Classes {
  /** `onChange` is called when the classes change, `onActivate` when one is chosen, `onLabel` with the clips whose labels
   * changed, or with null if others may have changed as well. */
  constructor({ onChange, onActivate, onLabel, onTrained }) {
    Object.assign(this, { onChange, onActivate, onLabel, onTrained });
    this.names = [];
    this.sent = Promise.resolve(); // changes go to the bank one after the other
    this.counts = new Map();
    this.heads = [];
    this.active = "";
    at("new-class").addEventListener("submit", (event) => {
      event.preventDefault();
      const name = at("class-name").value.trim();
      if (name.startsWith(NOT)) {
        say(`A class cannot be called ${name}: “${NOT}” stands before what clips are not. The key x says so.`, { error: true });
        return;
      }
      if (name) this.activate(name);
      at("class-name").value = "";
      at("class-name").blur();
    });
    at("undo").addEventListener("click", () => this.undo());
    at("train").addEventListener("click", () => this.train());
  }

  colour(name) { return colour(this.names.indexOf(name)); }

  async load() {
    const facts = await request("/api/bank");
    this.heads = facts.heads;
    this.store = `clipdex classes ${facts.folder}`;
    this.update(facts.classes);
    return facts;
  }

  /** The head that is trained here, if there is one. */
  get head() { return this.heads.includes(HEAD) ? HEAD : ""; }

  update(classes) {
    this.counts = new Map(classes.map((one) => [one.name, one]));
    // Classes keep their keys as long as the page is open. The browser remembers those without a label yet.
    const known = [...classes.map((one) => one.name), ...this.remembered()];
    this.names = [...this.names, ...new Set(known.filter((name) => !this.names.includes(name)))];
    this.remember();
    this.draw();
    this.onChange(this);
  }

  remembered() {
    try { return JSON.parse(localStorage.getItem(this.store) ?? "[]").filter((name) => typeof name === "string"); } catch { return []; }
  }

  remember() {
    if (!this.store) return;
    const without = this.names.filter((name) => !this.counts.has(name)).slice(-MOST_STORED);
    localStorage.setItem(this.store, JSON.stringify(without));
  }

  /** Makes a class the chosen one. */
  add(name) {
    if (!this.names.includes(name)) this.names.push(name);
    this.active = name;
  }

  activate(name) {
    this.add(name);
    this.remember();
    this.draw();
    this.onChange(this);
    this.onActivate(name);
  }

  draw() {
    const items = this.names.map((name, number) => {
      const { labels, negatives } = this.counts.get(name) ?? { labels: 0, negatives: 0 };
      const count = `${labels}${negatives ? ` / −${negatives}` : ""}`;
      const dot = element("i", { "aria-hidden": "true", text: "●" });
      dot.style.color = this.colour(name);
      const button = element("button", { type: "button", "aria-pressed": name === this.active, title: name, onclick: () => this.activate(name) },
        dot, element("span", { class: "name", text: name }), element("span", { class: "count", text: count }));
      if (number < 9) button.append(element("kbd", { text: number + 1 }));
      return element("li", {}, button);
    });
    at("class-list").replaceChildren(...items);
  }

  /** Labels clips (a promise of them), or a stretch; null removes labels, `denied` says that they are not of the class. */
  assign(name, clips, stretch, { denied = false } = {}) {
    const label = name === null ? null : denied ? NOT + name : name;
    const what = name === null ? "labels removed" : denied ? `not ${name}` : name;
    if (name !== null) this.active = name;
    this.sent = this.sent.then(() => this.send(label, what, clips, stretch)).catch(() => this.onLabel(null));
    return this.sent;
  }

  async send(label, what, given, stretch) {
    const clips = await given;
    if (!clips.length && !stretch) { say("There is no clip to label."); return; }
    const { name, ...seconds } = stretch ?? {};
    const wanted = stretch ? { stretches: [seconds] } : { clips: clips.map((clip) => clip.clip_id) };
    const changed = await request("/api/labels", { method: "POST", json: { class_name: label, ...wanted } });
    this.update(changed.classes);
    const [one] = clips;
    const where = stretch ? place(name, stretch.start_seconds, stretch.stop_seconds)
      : clips.length === 1 ? place(one.name, one.start_seconds, one.stop_seconds) : `${clips.length} clips`;
    if (label === null && !changed.removed) say(`${where}: no label of its own to remove; x says that a clip is not of a class`);
    else say(`${where}: ${what}`);
    this.onLabel(changed.clips);
    this.trainSoon();
  }

  /** Trains the head again once nothing was labelled for a moment. */
  trainSoon() {
    clearTimeout(this.soon);
    const ready = this.names.filter((name) => (this.counts.get(name)?.labels ?? 0) >= FEWEST);
    if (ready.length >= 2) this.soon = setTimeout(() => this.train(), PAUSE_MS);
  }

  undo() {
    this.sent = this.sent.then(() => this.sendUndo()).catch(() => this.onLabel(null));
    return this.sent;
  }

  async sendUndo() {
    const changed = await request("/api/labels/undo", { method: "POST" });
    this.update(changed.classes);
    say(changed.undone ? `Undone: ${changed.undone}` : "There is nothing to undo.");
    this.onLabel(null);
    this.trainSoon();
  }

  async train() {
    if (this.isTraining) { this.trainSoon(); return; }
    this.isTraining = true;
    try { await this.trained(await request("/api/trainings", { method: "POST", json: { name: HEAD } })); } finally { this.isTraining = false; }
  }

  async trained(job) {
    const done = await follow(job, (state) => { at("head-state").textContent = `Training … ${Math.round(state.done)} of ${state.total}`; });
    if (done.error) {
      at("head-state").textContent = done.error;
      return;
    }
    const { cv } = done.result;
    const percent = (share) => `${Math.round(100 * share)}%`;
    const score = cv ? `${percent(cv.top1)} right (${cv.top1_interval.map(percent).join(" to ")}), chance ${percent(cv.chance)}` : "not measured: too few videos";
    at("head-state").textContent = `Head “${done.result.head}”: ${score}`;
    at("head-state").title = done.result.warnings.join(" ");
    await this.load();
    this.onTrained(done.result.head);
  }
}
