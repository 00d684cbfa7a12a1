// A grid over a known number of clips: only the tiles in sight exist, pages of clips come when they are scrolled to.

import { clock, element } from "./api.js";

const PAGE = 60;
const WIDTH = 224; // of a tile, at least
const TEXT_HEIGHT = 50; // of the lines under a picture, and the space between rows
const SETTLED_MS = 60; // what is only scrolled past is not fetched

export class Grid {
  /** `onFocus` is told when another clip is in focus, `onOpen` when one is opened, `onChange` about selections. */
  constructor(container, { onFocus, onOpen, onChange }) {
    this.container = container;
    this.space = element("div", { class: "space", role: "presentation" });
    container.append(this.space);
    Object.assign(this, { onFocus, onOpen, onChange });
    this.tiles = new Map();
    this.selected = new Set();
    this.playing = new Set();
    this.load(async () => ({ total: 0, clips: [] }), 0);
    container.addEventListener("scroll", () => this.draw());
    new ResizeObserver(() => this.draw()).observe(container);
  }

  /** Shows other clips: `fetchPage(start, count, signal)` gives a page of them. */
  load(fetchPage, total, first = []) {
    this.aborts?.abort();
    this.aborts = new AbortController();
    this.fetchPage = fetchPage;
    this.total = total;
    this.clips = new Map(first.map((clip, place) => [place, clip]));
    this.asked = new Set(first.length >= Math.min(PAGE, total) ? [0] : []);
    this.selected.clear();
    this.playing.clear();
    this.focus = total ? 0 : -1;
    this.anchor = 0;
    for (const tile of this.tiles.values()) tile.remove();
    this.tiles.clear();
    this.container.scrollTop = 0;
    this.draw();
    this.onFocus(this.focused);
  }

  get focused() { return this.clips.get(this.focus); }

  /** The clips that a key is meant for: the selected ones, else the one in focus. */
  get targets() {
    const places = this.selected.size ? [...this.selected] : [this.focus];
    return places.map((place) => this.clips.get(place)).filter(Boolean);
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
      if (place < first || place >= last) { tile.remove(); this.tiles.delete(place); }
    }
    for (let place = first; place < last; place += 1) this.drawTile(place, columns);
    clearTimeout(this.settled);
    this.settled = setTimeout(() => this.fetchSeen(first, last), SETTLED_MS);
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
    if (place === this.focus) this.container.setAttribute("aria-activedescendant", tile.id);
  }

  async fetchSeen(first, last) {
    for (let page = Math.floor(first / PAGE); page * PAGE < last; page += 1) {
      if (this.asked.has(page)) continue;
      this.asked.add(page);
      const { aborts } = this;
      this.fetchPage(page * PAGE, PAGE, aborts.signal).then((found) => {
        if (aborts !== this.aborts) return;
        found.clips.forEach((clip, place) => this.clips.set(page * PAGE + place, clip));
        this.draw();
        if (Math.floor(this.focus / PAGE) === page) this.onFocus(this.focused);
      }, () => this.asked.delete(page));
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

  move(step) { if (this.total) this.focusOn(Math.min(this.total - 1, Math.max(0, this.focus + step))); }

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

  /** Labels of clips changed: shows `label` on those with these ids. */
  relabel(ids, label) {
    const changed = new Set(ids);
    for (const [place, clip] of this.clips) if (changed.has(clip.clip_id)) this.clips.set(place, { ...clip, label });
    this.draw();
  }

  /** Fetches what is shown again, in its place. */
  refresh() {
    this.asked.clear();
    this.draw();
  }
}

function fill(tile, clip) {
  const times = `${clock(clip.start_seconds)} – ${clock(clip.stop_seconds)}`;
  const [picture, first, second] = tile.children;
  if (tile.dataset.clip !== clip.clip_id) {
    tile.dataset.clip = clip.clip_id;
    picture.style.backgroundImage = `url("/api/clips/${encodeURIComponent(clip.clip_id)}/sprite.webp")`;
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
  );
  const label = clip.label ? `, label ${clip.label}` : "";
  tile.setAttribute("aria-label", `${clip.name}, ${times}${label}`);
}
