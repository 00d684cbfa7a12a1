// Which clips to label next for a class, and how well it is learned by now.

import { element, request, say } from "./api.js";
import { show, state } from "./state.js";

const at = (id) => document.getElementById(id);
const COUNT = 24;

export class Suggestions {
  constructor({ grid, classes }) {
    Object.assign(this, { grid, classes });
    this.shown = ""; // the class and the feed of the clips that are shown
    at("suggest").addEventListener("submit", (event) => { event.preventDefault(); this.next(); });
    at("suggest-class").addEventListener("change", () => { classes.activate(at("suggest-class").value); });
    at("feed").addEventListener("change", () => this.next());
  }

  drawClasses() {
    const chosen = state.class_name || this.classes.active || this.classes.names[0] || "";
    at("suggest-class").replaceChildren(...this.classes.names.map((name) => element("option", { value: name, text: name, selected: name === chosen })));
  }

  /** Shows what the address says, unless it is shown already. */
  enter() {
    if (this.shown === `${state.class_name} ${state.feed}`) return;
    if (state.class_name) this.classes.add(state.class_name);
    if (state.feed) at("feed").value = state.feed;
    this.drawClasses();
    if (this.classes.names.length) this.next();
    else say("Add a class at the left first: its name is what is searched for at first.");
  }

  leave() { this.shown = ""; }

  /** Learns from all labels, and shows what to label next. */
  async next(name = at("suggest-class").value) {
    if (!name) return;
    const feed = at("feed").value;
    this.shown = `${name} ${feed}`;
    show({ class_name: name, feed, clip: "" }, { replace: true });
    this.drawClasses();
    const signal = this.grid.begin();
    at("estimate").textContent = "Learning …";
    at("summary").textContent = "";
    await this.classes.sent; // labels that are under way count
    const query = new URLSearchParams({ class_name: name, feed, count: COUNT });
    const found = await request(`/api/suggestions?${query}`, { signal });
    const page = async (start, count) => ({ clips: found.clips.slice(start, start + count) });
    if (!this.grid.load(page, found.clips.length, found.clips, signal)) return;
    at("estimate").textContent = estimate(found);
    at("estimate").title = found.notes.join(" ");
    const number = this.classes.names.indexOf(name) + 1;
    const yes = number <= 9 ? number : "its button at the left";
    at("summary").textContent = `${found.clips.length} clips to label for “${name.length > 40 ? `${name.slice(0, 39)}…` : name}”: ${yes} is yes, x is no, n the next ones`;
  }
}

function estimate({ positives, negatives, estimate: known, enough }) {
  const counts = `${positives} yes, ${negatives} no.`;
  if (!known) return `${counts} Too few videos of both to say how well it is learned.`;
  const part = (name, one) => `${name} ${one.value.toFixed(2)} (${one.low.toFixed(2)} to ${one.high.toFixed(2)})`;
  const measured = [part("precision", known.precision), part("recall", known.recall), part("average precision", known.average_precision)];
  return `${counts} On clips left out in turn: ${measured.join(", ")}.${enough ? " More labels hardly change this." : ""}`;
}
