// The classes, and labelling with them: one key for each of the first nine.

import { colour, element, follow, request, say } from "./api.js";

const NOT = "not:";
const HEAD = "studio"; // heads that were trained elsewhere stay as they are
const PAUSE_MS = 1500; // after the last label, before the head is trained again
const FEWEST = 2; // labels of a class
const at = (id) => document.getElementById(id);

export class Classes {
  /** `onChange` is told the classes whenever they change, `onLabel` which clips have which label now. */
  constructor({ onChange, onLabel, onTrained }) {
    Object.assign(this, { onChange, onLabel, onTrained });
    this.names = [];
    this.counts = new Map();
    this.heads = [];
    this.active = "";
    at("new-class").addEventListener("submit", (event) => {
      event.preventDefault();
      const name = at("class-name").value.trim();
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
    this.update(facts.classes);
    return facts;
  }

  update(classes) {
    this.counts = new Map(classes.map((one) => [one.name, one.labels]));
    const named = classes.map((one) => one.name).filter((name) => !name.startsWith(NOT));
    // Classes keep their keys as long as the page is open, also those without a label yet.
    this.names = [...this.names, ...named.filter((name) => !this.names.includes(name))];
    this.draw();
    this.onChange(this);
  }

  activate(name) {
    if (!this.names.includes(name)) this.names.push(name);
    this.active = name;
    this.draw();
    this.onChange(this);
  }

  draw() {
    const items = this.names.map((name, number) => {
      const denied = this.counts.get(NOT + name);
      const count = `${this.counts.get(name) ?? 0}${denied ? ` / −${denied}` : ""}`;
      const dot = element("i", { "aria-hidden": "true", text: "●" });
      dot.style.color = this.colour(name);
      const button = element("button", { type: "button", "aria-pressed": name === this.active, title: name, onclick: () => this.activate(name) },
        dot, element("span", { class: "name", text: name }), element("span", { class: "count", text: count }));
      if (number < 9) button.append(element("kbd", { text: number + 1 }));
      return element("li", {}, button);
    });
    at("class-list").replaceChildren(...items);
  }

  /** Labels clips, or a stretch; null removes labels, `denied` says that they are not of the class. */
  async assign(name, clips, stretch, { denied = false } = {}) {
    if (!clips.length && !stretch) { say("There is no clip to label."); return; }
    const label = name === null ? null : denied ? NOT + name : name;
    const given = stretch ? { stretches: [stretch] } : { clips: clips.map((clip) => clip.clip_id) };
    const changed = await request("/api/labels", { method: "POST", json: { class_name: label, ...given } });
    if (name !== null) this.active = name;
    this.update(changed.classes);
    const what = stretch ? "1 stretch" : clips.length === 1 ? "1 clip" : `${clips.length} clips`;
    say(label === null ? `${what}: labels removed` : `${what}: ${denied ? `not ${name}` : name}`);
    this.onLabel(stretch ? [] : clips.map((clip) => clip.clip_id), label);
    this.trainSoon();
  }

  /** Trains the head again once nothing was labelled for a moment. */
  trainSoon() {
    clearTimeout(this.soon);
    const ready = this.names.filter((name) => (this.counts.get(name) ?? 0) >= FEWEST);
    if (ready.length >= 2) this.soon = setTimeout(() => this.train(), PAUSE_MS);
  }

  async undo() {
    const changed = await request("/api/labels/undo", { method: "POST" });
    this.update(changed.classes);
    say(changed.added || changed.removed ? "Undone" : "There is nothing to undo.");
    this.onLabel(null, null);
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
