// The bank's contents, and extracting more videos into it.

import { element, request, say } from "./api.js";

const at = (id) => document.getElementById(id);
const OVER = ["done", "failed", "cancelled"];

export class Videos {
  constructor({ classes }) {
    this.classes = classes;
    at("extract").addEventListener("submit", (event) => { event.preventDefault(); this.extract(); });
  }

  async enter() {
    const facts = await this.classes.load();
    at("encoder").closest("label").hidden = facts.encoder !== null; // others go on with theirs
    at("bank-facts").textContent = facts.encoder
      ? `${facts.folder}: ${facts.clips} clips of ${facts.videos} videos, encoder ${facts.encoder}.`
      : `${facts.folder} is empty: extract a folder of videos.`;
    this.drawJobs();
  }

  async extract() {
    const folder = { source: at("source").value, labels_from_folders: at("from-folders").checked, encoder: at("encoder").value };
    await request("/api/extractions", { method: "POST", json: folder });
    say("Extraction started");
    this.drawJobs();
  }

  async drawJobs() {
    clearTimeout(this.timer);
    const jobs = await request("/api/jobs");
    at("jobs").replaceChildren(...jobs.map((job) => this.item(job)));
    if (jobs.some((job) => !OVER.includes(job.state))) this.timer = setTimeout(() => this.drawJobs(), 500);
    else if (this.ran) this.classes.load();
    this.ran = jobs.some((job) => !OVER.includes(job.state));
  }

  item(job) {
    const isOver = OVER.includes(job.state);
    const bar = element("progress", { class: "bar", max: job.total || 1, value: job.total ? job.done : null, "aria-label": job.what });
    const cancel = element("button", { type: "button", text: "Cancel", onclick: () => request(`/api/jobs/${job.id}/cancel`, { method: "POST" }) });
    const counts = job.result?.inputs ? Object.entries(job.result.inputs).map(([name, count]) => `${count} ${name}`).join(", ") : "";
    const progress = job.total ? `${Math.round(job.done)} of ${job.total}` : job.state === "running" ? "(looking for videos, loading the encoder)" : "";
    const facts = element("p", { text: `${job.what}: ${job.state} ${isOver ? counts : progress}` });
    const more = job.more_failures ? `and ${job.more_failures} more` : "";
    const problems = [job.error, ...job.failures, more, ...(job.result?.warnings ?? [])].filter(Boolean);
    return element("li", {}, facts, ...(isOver ? [] : [bar, cancel]), ...problems.map((text) => element("p", { class: "warn", text })));
  }
}
