// One clip: its video playing, the timeline of the video, and the edges of the stretch that a label will speak of.

import { clock, element, request, say } from "./api.js";

const at = (id) => document.getElementById(id);
const STEP_SECONDS = 0.1;
const FRAME_SECONDS = 1 / 25;
const CONTEXT_SECONDS = 30; // around the clip, in an excerpt for browsers that cannot play the video
const SPEEDS = [0.25, 0.5, 1, 1.5, 2, 4];

export class Player {
  /** `classes` gives colours; `onClose` is called when it closes. */
  constructor({ classes, onClose }) {
    Object.assign(this, { classes, onClose });
    this.video = at("video");
    this.loops = true;
    this.edge = "stop";
    this.offset = 0; // of the video's own time: an excerpt starts later
    this.video.addEventListener("error", () => this.playExcerpt());
    this.video.addEventListener("timeupdate", () => this.tick());
    this.video.addEventListener("loadedmetadata", () => this.seek(this.start));
    at("close-player").addEventListener("click", () => this.close());
    at("play").addEventListener("click", () => this.togglePlay());
    at("loop").addEventListener("click", () => this.toggleLoop());
    at("edge-start").addEventListener("change", () => this.setEdges(Number(at("edge-start").value), this.stop));
    at("edge-stop").addEventListener("change", () => this.setEdges(this.start, Number(at("edge-stop").value)));
    at("timeline").addEventListener("pointerdown", (event) => this.dragged(event));
  }

  get isOpen() { return Boolean(this.clip); }

  /** The stretch, if its edges were moved away from the clip's. */
  get stretch() {
    const { clip, start, stop } = this;
    if (!clip || (start === clip.start_seconds && stop === clip.stop_seconds)) return null;
    return { video_id: clip.video_id, start_seconds: start, stop_seconds: stop };
  }

  async open(clip, head) {
    const sameVideo = this.clip?.video_id === clip.video_id && !this.isExcerpt;
    this.clip = clip;
    Object.assign(this, { start: clip.start_seconds, stop: clip.stop_seconds, times: null });
    at("player").hidden = false;
    at("player-title").textContent = clip.name;
    at("player-title").title = clip.video;
    at("player-note").textContent = "";
    this.showEdges();
    if (sameVideo) this.seek(this.start);
    else {
      Object.assign(this, { offset: 0, isExcerpt: false });
      this.video.src = `/api/videos/${clip.video_id}`;
    }
    this.video.play().catch(() => {}); // a browser may want a click first
    const query = head ? `?${new URLSearchParams({ head })}` : "";
    this.times = await request(`/api/videos/${clip.video_id}/timeline${query}`);
    if (this.clip === clip) this.drawTimeline();
  }

  close() {
    this.clip = null;
    this.video.removeAttribute("src");
    this.video.load();
    at("player").hidden = true;
    this.onClose();
  }

  playExcerpt() {
    if (!this.clip || this.isExcerpt) {
      if (this.clip) at("player-note").textContent = "This video cannot be read any more.";
      return;
    }
    const { clip } = this;
    this.isExcerpt = true;
    this.offset = Math.max(0, clip.start_seconds - CONTEXT_SECONDS);
    const stop = clip.stop_seconds + CONTEXT_SECONDS;
    at("player-note").textContent = "Your browser cannot play this video: this is an excerpt made for it, without sound.";
    const times = new URLSearchParams({ start_seconds: this.offset, stop_seconds: stop });
    this.video.src = `/api/videos/${clip.video_id}/excerpt.mp4?${times}`;
    this.video.play().catch(() => {});
  }

  get now() { return this.video.currentTime + this.offset; }

  seek(seconds) { this.video.currentTime = Math.max(0, seconds - this.offset); }

  tick() {
    if (!this.clip) return;
    if (this.loops && !this.video.paused && (this.now >= this.stop || this.now < this.start - 0.3)) this.seek(this.start);
    this.placeNow();
  }

  togglePlay() { if (this.video.paused) this.video.play().catch(() => {}); else this.video.pause(); }

  toggleLoop() {
    this.loops = !this.loops;
    at("loop").setAttribute("aria-pressed", this.loops);
  }

  stepFrame(step) {
    this.video.pause();
    this.seek(this.now + step * FRAME_SECONDS);
  }

  changeSpeed(step) {
    const place = SPEEDS.indexOf(this.video.playbackRate);
    this.video.playbackRate = SPEEDS[Math.min(SPEEDS.length - 1, Math.max(0, place + step))];
    say(`Speed ${this.video.playbackRate}`);
  }

  /** Moves the edge that was moved last; `switchEdge` takes the other one. */
  moveEdge(step) {
    const moved = step * STEP_SECONDS;
    if (this.edge === "start") this.setEdges(this.start + moved, this.stop);
    else this.setEdges(this.start, this.stop + moved);
    this.seek(this.edge === "start" ? this.start : Math.max(this.start, this.stop - 0.5));
  }

  switchEdge() {
    this.edge = this.edge === "start" ? "stop" : "start";
    say(`[ and ] move the ${this.edge}`);
  }

  setEdges(start, stop) {
    const last = this.times?.stop_seconds ?? Infinity;
    const round = (seconds) => Math.round(seconds * 1000) / 1000;
    const first = Math.max(0, Math.min(start, stop - STEP_SECONDS));
    this.start = round(first);
    this.stop = round(Math.min(last, Math.max(stop, first + STEP_SECONDS)));
    this.showEdges();
    this.drawTimeline();
  }

  showEdges() {
    at("edge-start").value = this.start.toFixed(2);
    at("edge-stop").value = this.stop.toFixed(2);
    const label = this.clip.label ? `Label: ${this.clip.label}` : "No label";
    at("player-label").textContent = this.stretch ? `A label will speak of ${clock(this.start)} to ${clock(this.stop)}.` : label;
  }

  relabelled(label) {
    if (!this.clip) return;
    this.clip = { ...this.clip, label };
    this.showEdges();
  }

  drawTimeline() {
    const box = at("timeline");
    if (!this.times) { box.replaceChildren(); return; }
    const length = this.times.stop_seconds;
    const bars = [];
    const bar = (kind, start, stop, title, shade) => {
      const made = element("i", { class: kind, title });
      made.style.left = `${(100 * start) / length}%`;
      made.style.width = `max(2px, ${(100 * (stop - start)) / length}%)`;
      if (shade) made.style.background = shade;
      bars.push(made);
      return made;
    };
    for (const clip of this.times.clips) {
      bar("of-clip", clip.start_seconds, clip.stop_seconds, `clip ${clock(clip.start_seconds)}`);
      if (clip.label) bar("of-label", clip.start_seconds, clip.stop_seconds, `label ${clip.label}`, this.classes.colour(clip.label));
    }
    for (const one of this.times.segments) {
      bar("of-segment", one.start_seconds, one.stop_seconds, `${one.label} ${one.score.toFixed(2)}`, this.classes.colour(one.label));
    }
    bar("stretch", this.start, this.stop, "the stretch");
    for (const edge of ["start", "stop"]) {
      const made = element("i", { class: "edge", "data-edge": edge });
      made.style.left = `${(100 * this[edge]) / length}%`;
      bars.push(made);
    }
    this.marker = element("i", { class: "now" });
    box.replaceChildren(...bars, this.marker);
    this.placeNow();
  }

  placeNow() {
    if (this.marker && this.times) this.marker.style.left = `${(100 * this.now) / this.times.stop_seconds}%`;
  }

  dragged(event) {
    if (!this.times) return;
    const box = at("timeline");
    const { edge } = event.target.dataset;
    const secondsAt = (one) => {
      const { left, width } = box.getBoundingClientRect();
      return Math.min(1, Math.max(0, (one.clientX - left) / width)) * this.times.stop_seconds;
    };
    const moved = (one) => {
      if (!edge) this.seek(secondsAt(one));
      else if (edge === "start") this.setEdges(secondsAt(one), this.stop);
      else this.setEdges(this.start, secondsAt(one));
    };
    if (edge) this.edge = edge;
    box.setPointerCapture(event.pointerId);
    moved(event);
    box.onpointermove = moved;
    box.onpointerup = () => { box.onpointermove = null; box.onpointerup = null; };
  }
}

