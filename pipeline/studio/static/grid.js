// A grid over a known number of clips: only the tiles in sight exist, pages of clips come when they are scrolled to.

import { clock, element, request } from "./api.js";
import { forgetPicture, showPicture } from "./pictures.js";

const PAGE = 60;
const WIDTH = 224; // of a tile, at least
const TEXT_HEIGHT = 50; // of the lines under a picture, and the space between rows
const SETTLED_MS = 60; // what is only scrolled past is not fetched
const BLOCK = 500; // clips that are fetched at once to be labelled

export class Grid {
  /** `onFocus` is called with the clip in focus, `onOpen` with one that is opened, `onChange` when the selection changed. */
  constructor(container, { onFocus, onOpen, onChange }) {
    this.container = container;
    this.space = element("div", { class: "space", role: "presentation" });
    container.append(this.space);
    Object.assign(this, { onFocus, onOpen, onChange });
    this.tiles = new Map();
    this.selected = new Set();
    this.playing = new Set();
    this.empty();
    container.addEventListener("scroll", () => this.draw());
    new ResizeObserver(() => this.draw()).observe(container);
  }

  /** Begins to show other clips, and none until they have come. Gives the signal by which a later call takes that back. */
  begin() {
    this.aborts?.abort();
    this.aborts = new AbortController();
    this.empty();
    this.container.setAttribute("aria-busy", "true");
    return this.aborts.signal;
  }

  empty() { this.fill(async () => ({ total: 0, clips: [] }), 0, []); }

  /** Shows clips: `fetchPage(start, count, signal)` gives a page of them. Of what `begin` began before, nothing is shown. */
  load(fetchPage, total, first, signal) {
    if (signal.aborted) return false;
    this.container.setAttribute("aria-busy", "false");
    this.fill(fetchPage, total, first);
    return true;
  }

  fill(fetchPage, total, first) {
    this.fetchPage = fetchPage;
    this.total = total;
    this.clips = new Map(first.map((clip, place) => [place, clip]));
    this.requested = new Set(first.length >= Math.min(PAGE, total) ? [0] : []);
    this.selected.clear();
    this.playing.clear();
    this.focus = total ? 0 : -1;
    this.anchor = 0;
    for (const place of [...this.tiles.keys()]) this.drop(place);
    this.container.scrollTop = 0;
    this.draw();
    this.onFocus(this.focused);
  }

  get focused() { return this.clips.get(this.focus); }

  get places() { return this.selected.size ? [...this.selected] : [this.focus]; }

  /** The clips that a key is meant for, as far as they have come: the selected ones, else the one in focus. */
  get targets() { return this.places.map((place) => this.clips.get(place)).filter(Boolean); }

  /** All of them, the others fetched. */
  async allTargets() {
    const { clips, fetchPage, aborts, places } = this;
    const missing = new Set(places.filter((place) => place >= 0 && !clips.has(place)).map((place) => Math.floor(place / BLOCK)));
    for (const block of missing) {
      const found = await fetchPage(block * BLOCK, BLOCK, aborts?.signal);
      found.clips.forEach((clip, place) => clips.set(block * BLOCK + place, clip));
    }
    return places.map((place) => clips.get(place)).filter(Boolean);
  }

  get columns() { return Math.max(1, Math.floor(this.container.clientWidth / WIDTH)); }

  /** Height of a row: that of a picture of the tiles' width, and two lines. */
  get row() { return Math.floor(((this.container.clientWidth / this.columns - 12) * 9) / 16) + TEXT_HEIGHT; }

  draw() {
    const { columns, row } = this;
    this.space.style.height = `${Math.ceil(this.total / columns) * row}px`;
    const first = Math.max(0, Math.floor(this.container.scrollTop / row) - 1) * columns;
    const rows = Math.ceil(this.container.clientHeight / row) + 3;
    const last = Math.min(this.total, first + rows * columns);
    for (const [place, tile] of this.tiles) {
      if (place < first || place >= last) this.drop(place, tile);
    }
    for (let place = first; place < last; place += 1) this.drawTile(place, columns);
    const focused = this.tiles.get(this.focus);
    if (focused) this.container.setAttribute("aria-activedescendant", focused.id);
    else this.container.removeAttribute("aria-activedescendant");
    clearTimeout(this.settled);
    this.settled = setTimeout(() => this.fetchSeen(first, last), SETTLED_MS);
  }

  drop(place, tile = this.tiles.get(place)) {
    forgetPicture(tile);
    tile.remove();
    this.tiles.delete(place);
  }

  drawTile(place, columns) {
    let tile = this.tiles.get(place);
    if (!tile) {
      tile = element("div", { class: "tile", role: "option", id: `clip-${place}` });
      tile.append(element("div", { class: "picture" }), element("div", { class: "facts" }), element("div", { class: "facts" }));
      tile.addEventListener("click", (event) => this.clicked(place, event));
      tile.addEventListener("dblclick", () => this.onOpen(this.clips.get(place)));
      this.tiles.set(place, tile);
      this.space.append(tile);
    }
    tile.style.left = `${(100 * (place % columns)) / columns}%`;
    tile.style.width = `calc(${100 / columns}% - 6px)`;
    tile.style.top = `${Math.floor(place / columns) * this.row}px`;
    const clip = this.clips.get(place);
    tile.setAttribute("aria-selected", this.selected.has(place));
    tile.setAttribute("aria-posinset", place + 1);
    tile.setAttribute("aria-setsize", this.total);
    tile.classList.toggle("focused", place === this.focus);
    tile.classList.toggle("plays", this.playing.has(place));
    if (clip) fill(tile, clip);
    else tile.setAttribute("aria-label", "loading");
  }

  async fetchSeen(first, last) {
    for (let page = Math.floor(first / PAGE); page * PAGE < last; page += 1) {
      if (this.requested.has(page)) continue;
      this.requested.add(page);
      const { aborts } = this;
      this.fetchPage(page * PAGE, PAGE, aborts?.signal).then((found) => {
        if (aborts !== this.aborts) return;
        found.clips.forEach((clip, place) => this.clips.set(page * PAGE + place, clip));
        this.draw();
        if (Math.floor(this.focus / PAGE) === page) this.onFocus(this.focused);
      }, () => this.requested.delete(page));
    }
  }

  clicked(place, event) {
    if (event.shiftKey) this.selectRange(this.anchor, place);
    else if (event.ctrlKey || event.metaKey) this.toggle(place);
    else this.selected.clear();
    if (!event.shiftKey) this.anchor = place;
    this.focusOn(place);
    this.onChange();
  }

  toggle(place) { if (!this.selected.delete(place)) this.selected.add(place); }

  /** Selects the clip in focus, or takes it out of the selection. */
  toggleFocused() {
    this.toggle(this.focus);
    this.anchor = this.focus;
    this.draw();
    this.onChange();
  }

  selectRange(from, to) {
    this.selected.clear();
    for (let place = Math.min(from, to); place <= Math.max(from, to); place += 1) this.selected.add(place);
  }

  /** Selects every clip in sight, or none if all are. */
  selectSeen() {
    const { scrollTop, clientHeight } = this.container;
    const first = Math.floor(scrollTop / this.row) * this.columns;
    const last = Math.min(this.total, Math.ceil((scrollTop + clientHeight) / this.row) * this.columns);
    const all = Array.from({ length: last - first }, (_, place) => first + place);
    const has = all.every((place) => this.selected.has(place));
    this.selected = new Set(has ? [] : all);
    this.draw();
    this.onChange();
  }

  /** Moves the focus; `extend` selects all from where it was. */
  move(step, extend = false) {
    if (!this.total) return;
    const place = Math.min(this.total - 1, Math.max(0, this.focus + step));
    if (extend) this.selectRange(this.anchor, place);
    else this.anchor = place;
    this.focusOn(place);
    if (extend) this.onChange();
  }

  focusOn(place) {
    this.focus = place;
    const { row } = this;
    const top = Math.floor(place / this.columns) * row;
    const { scrollTop, clientHeight } = this.container;
    if (top < scrollTop) this.container.scrollTop = top;
    else if (top + row > scrollTop + clientHeight) this.container.scrollTop = top + row - clientHeight;
    this.draw();
    this.onFocus(this.focused);
  }

  togglePlay() {
    if (!this.playing.delete(this.focus)) this.playing.add(this.focus);
    this.draw();
  }

  /** Shows the labels that these clips have now. */
  relabel(changed) {
    const now = new Map(changed.map((clip) => [clip.clip_id, clip]));
    for (const [place, clip] of this.clips) {
      const other = now.get(clip.clip_id);
      if (other) this.clips.set(place, { ...clip, label: other.label, not_of: other.not_of });
    }
    this.draw();
  }

  /** Fetches the labels of all clips that have come. */
  async refresh() {
    const { clips } = this;
    const ids = [...clips.values()].map((clip) => clip.clip_id);
    if (!ids.length) return;
    const now = await request("/api/labels/of-clips", { method: "POST", json: { clips: ids } });
    if (clips === this.clips) this.relabel(now);
  }
}

function fill(tile, clip) {
  const times = `${clock(clip.start_seconds)} – ${clock(clip.stop_seconds)}`;
  const [picture, first, second] = tile.children;
  if (tile.dataset.clip !== clip.clip_id) {
    tile.dataset.clip = clip.clip_id;
    showPicture(tile, picture, `/api/clips/${encodeURIComponent(clip.clip_id)}/sprite.webp`);
    tile.title = clip.video;
  }
  first.replaceChildren(
    element("span", { class: "file", text: clip.name }),
    element("span", { text: clip.score === null ? "" : clip.score.toFixed(2) }),
  );
  second.replaceChildren(
    element("span", { class: "file", text: times }),
    element("span", { class: "predicted", text: clip.predicted && clip.predicted !== clip.label ? `${clip.predicted}?` : "" }),
    element("span", { class: "label", text: clip.label ?? "" }),
    ...clip.not_of.map((name) => element("span", { class: "denied", text: `not ${name}` })),
  );
  const label = clip.label ? `, label ${clip.label}` : "";
  const denied = clip.not_of.map((name) => `, not ${name}`).join("");
  tile.setAttribute("aria-label", `${clip.name}, ${times}${label}${denied}`);
}
