// A head's card, its confusions with their clips, and labels that may be wrong.

import { element, follow, request, say } from "./api.js";
import { search, show, state } from "./state.js";

const at = (id) => document.getElementById(id);
const percent = (share) => `${Math.round(100 * share)}%`;
const interval = ([low, high]) => `${percent(low)} to ${percent(high)}`;

export class Review {
  constructor({ classes, openClip }) {
    Object.assign(this, { classes, openClip });
    at("review").addEventListener("submit", (event) => { event.preventDefault(); this.evaluate(); });
    at("review-head").addEventListener("change", () => { show({ head: at("review-head").value }, { replace: true }); this.drawCard(); });
    at("show-predicted").addEventListener("click", () => this.showClips("best"));
    at("show-unsure").addEventListener("click", () => this.showClips("unsure"));
  }

  get head() { return at("review-head").value; }

  showClips(order) {
    if (!this.head) { say("Train a head first."); return; }
    search({ head: this.head, order });
  }

  enter() {
    const { heads } = this.classes;
    at("review-head").replaceChildren(...heads.map((name) => element("option", { value: name, text: name, selected: name === state.head })));
    if (heads.length) this.drawCard();
    else at("card").replaceChildren(element("p", { text: "There is no head yet: label some clips and press Train." }));
    this.drawOdd();
  }

  async drawCard() {
    const card = await request(`/api/heads/${encodeURIComponent(this.head)}`);
    const rows = card.classes.map((name) => element("tr", {}, element("td", { text: name }), element("td", { text: card.counts[name] })));
    const figures = card.cv
      ? `${card.cv.clips} clips, ${card.cv.protocol}: ${percent(card.cv.top1)} right (${interval(card.cv.top1_interval)}), chance ${percent(card.cv.chance)}.`
      : "Not measured: too few videos of each class.";
    at("card").replaceChildren(
      element("p", { text: `${card.kind} head. ${figures}` }),
      ...card.notes.map((note) => element("p", { class: "warn", text: note })),
      element("table", {}, element("thead", {}, element("tr", {}, element("th", { text: "class" }), element("th", { text: "clips" }))), element("tbody", {}, ...rows)),
    );
    at("confusion").replaceChildren();
  }

  async evaluate() {
    if (!this.head) { say("Train a head first."); return; }
    const job = await request(`/api/heads/${encodeURIComponent(this.head)}/evaluations`, { method: "POST" });
    const done = await follow(job, (one) => say(`Evaluating … ${Math.round(one.done)} of ${one.total}`));
    if (done.error) { say(done.error, { error: true }); return; }
    say("Evaluated");
    this.drawConfusion(done.result);
  }

  drawConfusion({ classes, cells, figures, warnings }) {
    const of = new Map(cells.map((cell) => [`${cell.label}\0${cell.predicted}`, cell.clips]));
    const heads = classes.map((name) => element("th", { scope: "col", text: name }));
    const rows = classes.map((label) => element("tr", {}, element("th", { scope: "row", text: label }),
      ...classes.map((predicted) => {
        const clips = of.get(`${label}\0${predicted}`) ?? [];
        const cell = element("td", { class: label === predicted ? "right" : null });
        if (clips.length) {
          cell.append(element("button", { type: "button", text: clips.length, title: `${label} predicted as ${predicted}`, onclick: () => this.showSelection(clips) }));
        }
        return cell;
      })));
    at("confusion").replaceChildren(
      element("h2", { text: `Confusions: labels in rows, predictions in columns (${figures.protocol}); a number opens its clips` }),
      ...warnings.map((text) => element("p", { class: "warn", text })),
      element("table", { class: "matrix" }, element("thead", {}, element("tr", {}, element("th"), ...heads)), element("tbody", {}, ...rows)),
    );
  }

  async showSelection(clips) {
    const stored = await request("/api/selections", { method: "POST", json: { clips } });
    search({ selection: stored.selection });
  }

  /** The cell that opens the clips of a label. */
  where(one) {
    const names = [one.moment, one.other_moment].filter(Boolean).map((moment) => moment.split("/").pop());
    if (!one.clips.length) return element("td", { text: names.join(", ") });
    return element("td", {}, element("button", { type: "button", text: names.join(", "), title: one.moment, onclick: () => this.showSelection(one.clips) }));
  }

  async drawOdd() {
    if (![...this.classes.counts.values()].some((one) => one.labels)) {
      at("odd").replaceChildren(element("p", { text: "There is no label yet." }));
      return;
    }
    let odd = [];
    try { odd = await request("/api/labels/review"); } catch { at("odd").replaceChildren(); return; }
    const rows = odd.map((one) => element("tr", {},
      element("td", { text: one.why }), element("td", { text: one.label }), element("td", { text: one.other }),
      element("td", { text: one.score === null ? "" : one.score.toFixed(2) }), this.where(one)));
    const names = ["why", "label", "or", "score", "where"].map((text) => element("th", { scope: "col", text }));
    at("odd").replaceChildren(odd.length
      ? element("table", {}, element("thead", {}, element("tr", {}, ...names)), element("tbody", {}, ...rows))
      : element("p", { text: "No label looks wrong." }));
  }
}

