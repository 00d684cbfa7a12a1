// One clip: its video playing, the timeline of the video, and the edges of the stretch that a label will speak of.

import { clock, element, request, say } from "./api.js";

const at = (id) => document.getElementById(id);
const STEP_SECONDS = 0.1;
const FRAME_SECONDS = 1 / 25; // until the video has shown how long its frames last
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
    this.speed = 1;
    this.frameSeconds = FRAME_SECONDS;
    this.video.addEventListener("loadedmetadata", () => { this.video.playbackRate = this.speed; this.seek(this.start); });
    this.video.requestVideoFrameCallback?.((now, frame) => this.sawFrame(frame.mediaTime));
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
    return { video_id: clip.video_id, name: clip.name, start_seconds: start, stop_seconds: stop };
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
      Object.assign(this, { offset: 0, isExcerpt: false, frameSeconds: FRAME_SECONDS });
      this.video.src = `/api/videos/${clip.video_id}`;
    }
    this.video.play().catch(() => {}); // a browser may want a click first
    await this.fetchTimeline(clip, head);
  }

  /** Clips and labels of the video, and what the head sees; without the head, if it cannot predict these clips. */
  async fetchTimeline(clip, head) {
    const path = `/api/videos/${clip.video_id}/timeline`;
    const times = head
      ? await request(`${path}?${new URLSearchParams({ head })}`, { quiet: true }).catch(() => request(path))
      : await request(path);
    if (this.clip?.clip_id !== clip.clip_id) return;
    this.times = times;
    this.drawTimeline();
  }

  close() {
    if (!this.clip) return;
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
    this.offset = Math.floor(10 * Math.max(0, clip.start_seconds - CONTEXT_SECONDS)) / 10; // excerpts begin at tenths
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
    this.seek(this.now + step * this.frameSeconds);
  }

  /** How long a frame lasts is the shortest time between two that were shown. */
  sawFrame(seconds) {
    const passed = seconds - this.lastFrame;
    if (passed > 0.001 && passed < 0.5) this.frameSeconds = this.frameSeconds === FRAME_SECONDS ? passed : Math.min(passed, this.frameSeconds);
    this.lastFrame = seconds;
    this.video.requestVideoFrameCallback((now, frame) => this.sawFrame(frame.mediaTime));
  }

  changeSpeed(step) {
    const place = SPEEDS.indexOf(this.speed);
    this.speed = SPEEDS[Math.min(SPEEDS.length - 1, Math.max(0, place + step))];
    this.video.playbackRate = this.speed;
    say(`Speed ${this.speed}`);
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
    const denied = (this.clip.not_of ?? []).map((name) => `, not ${name}`).join("");
    const label = (this.clip.label ? `Label: ${this.clip.label}` : "No label") + denied;
    at("player-label").textContent = this.stretch ? `A label will be for ${clock(this.start)} to ${clock(this.stop)}.` : label;
  }

  /** Shows the labels that clips have now; null: they may all have changed. */
  async relabelled(changed) {
    const { clip } = this;
    if (!clip) return;
    const clips = changed ?? await request("/api/labels/of-clips", { method: "POST", json: { clips: [clip.clip_id, ...(this.times?.clips ?? []).map((one) => one.clip_id)] } });
    if (this.clip?.clip_id !== clip.clip_id) return;
    const now = new Map(clips.map((one) => [one.clip_id, one]));
    const labelled = (one) => (now.has(one.clip_id) ? { ...one, label: now.get(one.clip_id).label, not_of: now.get(one.clip_id).not_of } : one);
    this.clip = labelled(this.clip);
    if (this.times) this.times.clips = this.times.clips.map(labelled);
    this.showEdges();
    this.drawTimeline();
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

