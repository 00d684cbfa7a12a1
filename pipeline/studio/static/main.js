// The page: what is shown follows from its address (state.js), what is typed and clicked changes that address.

import { element, place, request, say } from "./api.js";
import { Classes } from "./classes.js";
import { Grid } from "./grid.js";
import { listen } from "./keys.js";
import { ClipMap } from "./map.js";
import { Player } from "./player.js";
import { Review } from "./review.js";
import { onShow, queryParameters, search, show, state } from "./state.js";
import { Suggestions } from "./suggest.js";
import { Videos } from "./videos.js";

const at = (id) => document.getElementById(id);
const WITH_GRID = ["search", "suggest"];
const VIEWS = { search: "search-view", suggest: "suggest-view", review: "review-view", map: "map-view", bank: "bank-view" };

const classes = new Classes({ onChange: classesChanged, onActivate: activated, onLabel: labelled, onTrained: trained });
const player = new Player({ classes, onClose: () => { show({ clip: "" }, { replace: true }); at("grid").focus(); } });
const grid = new Grid(at("grid"), { onFocus: focused, onOpen: open, onChange: summarise });
const suggestions = new Suggestions({ grid, classes });
const review = new Review({ classes });
const map = new ClipMap({ classes });
const videos = new Videos({ classes });
let entered = ""; // what is shown already

function classesChanged() {
  suggestions?.drawClasses();
  drawExports();
}

function activated(name) {
  if (state.view === "suggest" && name !== state.class_name) suggestions.next(name);
}

function labelled(changed) {
  if (changed === null) grid.refresh();
  else grid.relabel(changed);
  player.relabelled(changed);
}

function trained() {
  if (state.view === "review") review.enter();
}

function focused(clip) {
  if (player.isOpen && clip && clip.clip_id !== player.clip.clip_id) open(clip);
}

function open(clip) {
  if (!clip) return;
  player.open(clip, state.head || classes.head);
  show({ clip: clip.clip_id }, { replace: true });
}

/** The clip that the address names is the one that is open. */
async function syncPlayer() {
  const { clip } = state;
  if (clip === (player.clip?.clip_id ?? "")) return;
  if (!clip) { player.close(); return; }
  const found = await request(`/api/clips/${encodeURIComponent(clip)}`);
  if (state.clip === clip && player.clip?.clip_id !== clip) open(found);
}

function summarise() {
  const chosen = grid.selected.size ? `, ${grid.selected.size} selected` : "";
  if (state.view === "search") at("summary").textContent = `${grid.total.toLocaleString("en")} clips${chosen}`;
}

// The query -------------------------------------------------------------------------------------

at("search").addEventListener("submit", (event) => {
  event.preventDefault();
  const where = at("where").value.trim();
  const { like, unlike, upload } = state;
  search({ text: at("text").value.trim(), exclude: at("exclude").value.trim(), where: where ? [where] : [], like, unlike, upload });
  at("grid").focus();
});

at("file").addEventListener("change", () => upload(at("file").files[0]));
document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", (event) => {
  event.preventDefault();
  upload(event.dataTransfer.files[0]);
});

async function upload(file) {
  if (!file) return;
  say(`Reading ${file.name} …`);
  const body = new FormData();
  body.append("file", file);
  const stored = await request("/api/uploads", { method: "POST", body });
  search({ upload: stored.upload });
}

const clipNames = new Map(); // of clips that a query names

/** What a clip is called in a query: its file and seconds, once they are known. */
function nameOf(id) {
  if (!clipNames.has(id)) {
    clipNames.set(id, id);
    request(`/api/clips/${encodeURIComponent(id)}`, { quiet: true })
      .then((clip) => { clipNames.set(id, place(clip.name, clip.start_seconds, clip.stop_seconds)); drawQuery(); }, () => {});
  }
  return clipNames.get(id);
}

function drawQuery() {
  at("text").value = state.text;
  at("exclude").value = state.exclude;
  at("where").value = state.where.join(" and ");
  const chip = (words, change) => element("span", {}, words, element("button", { type: "button", "aria-label": `remove ${words}`, text: "×", onclick: () => show(change) }));
  const without = (list, id) => list.filter((one) => one !== id);
  at("chips").replaceChildren(
    ...state.like.map((id) => chip(`like ${nameOf(id)}`, { like: without(state.like, id) })),
    ...state.unlike.map((id) => chip(`unlike ${nameOf(id)}`, { unlike: without(state.unlike, id) })),
    ...(state.upload ? [chip("like the file", { upload: "" })] : []),
    ...(state.selection ? [chip("a selection", { selection: "" })] : []),
    ...(state.head ? [chip(`${state.order === "unsure" ? "least sure" : "predictions"} of ${state.head}`, { head: "", order: "" })] : []),
  );
}

async function loadClips() {
  drawQuery();
  say("Searching …");
  const signal = grid.begin();
  at("summary").textContent = "";
  const path = state.head ? `/api/heads/${encodeURIComponent(state.head)}/clips` : "/api/clips";
  const asked = state.head ? new URLSearchParams({ order: state.order || "best" }) : queryParameters();
  const page = async (start, count, aborted) => {
    const query = new URLSearchParams(asked);
    query.set("start", start);
    query.set("count", count);
    return request(`${path}?${query}`, { signal: aborted });
  };
  let first;
  try { first = await page(0, 60, signal); } catch { return; }
  if (!grid.load(page, first.total, first.clips, signal)) return;
  summarise();
  say(first.notes.join(" "));
}

function drawExports() {
  const query = queryParameters();
  const link = (path, text) => element("li", {}, element("a", { href: path, text, download: "" }));
  const tools = [["csv", "CSV"], ["json", "JSON"], ["labelstudio", "Label Studio"], ["fiftyone", "FiftyOne"]];
  const links = tools.map(([suffix, name]) => link(`/api/exports/labels.${suffix}`, `Labels, ${name}`));
  if (state.view === "search" && !state.head) {
    for (const [suffix, name] of tools) {
      links.push(link(`/api/exports/hits.${suffix}?${query}`, `Best 100 clips, ${name}`));
    }
  }
  for (const head of classes.heads) {
    const given = new URLSearchParams({ head });
    for (const [suffix, name] of tools) links.push(link(`/api/exports/predictions.${suffix}?${given}`, `Predictions of ${head}, ${name}`));
    for (const [suffix, name] of [["vtt", "VTT"], ...tools]) links.push(link(`/api/exports/segments.${suffix}?${given}`, `Segments of ${head}, ${name}`));
    links.push(link(`/api/exports/heads/${encodeURIComponent(head)}.zip`, `Head ${head}`));
  }
  at("exports").replaceChildren(...links);
}

// Views -----------------------------------------------------------------------------------------

for (const link of document.querySelectorAll("nav a")) {
  link.addEventListener("click", (event) => {
    event.preventDefault();
    show({ view: link.dataset.view });
  });
}

function enter() {
  for (const [view, id] of Object.entries(VIEWS)) at(id).hidden = view !== state.view;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.dataset.view === state.view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  at("grid-part").hidden = !WITH_GRID.includes(state.view);
  const wanted = state.view === "search" ? `search ${queryParameters()} ${state.head} ${state.order}` : state.view;
  drawExports();
  syncPlayer();
  if (state.view === "suggest") {
    if (entered !== wanted) say("");
    entered = wanted;
    suggestions.enter();
    return;
  }
  suggestions.leave();
  if (wanted === entered) return;
  entered = wanted;
  say("");
  if (state.view === "search") loadClips();
  else ({ review, map, bank: videos })[state.view]?.enter();
}

onShow(enter);

// Keys ------------------------------------------------------------------------------------------

const hasGrid = () => !at("grid-part").hidden;

/** For keys that move among clips: only where they are in sight. */
const inGrid = (action) => (shift) => { if (hasGrid()) action(shift); else say("There are clips in Search and Suggest."); };

/** The clips that a key is meant for. */
const targets = () => (hasGrid() ? grid.targets : player.isOpen ? [player.clip] : []);

/** Labels what is chosen, and goes on to the next clip at once: the answer may take a moment. */
function assign(name, options) {
  if (!hasGrid() && !player.isOpen) { say("There are clips to label in Search and Suggest."); return; }
  if (hasGrid() && grid.container.getAttribute("aria-busy") === "true") { say("Wait until the clips are there."); return; }
  const several = hasGrid() && grid.selected.size > 0;
  const stretch = several ? null : player.stretch;
  const clips = hasGrid() ? grid.allTargets() : Promise.resolve(targets());
  clips.catch(() => {}); // whoever waits for it says so
  classes.assign(name, clips, stretch, options);
  if (hasGrid() && !several) grid.move(1);
}

const label = (number) => {
  const name = classes.names[number - 1];
  if (name === undefined) say(`There is no class ${number}: add one at the left.`);
  else assign(name);
};
const deny = () => {
  const name = state.view === "suggest" ? state.class_name : classes.active;
  if (name) assign(name, { denied: true });
  else say("Choose the class at the left that these clips are not of.");
};
const similar = () => { if (targets().length) search({ like: targets().map((clip) => clip.clip_id) }); };
const differ = () => { if (targets().length) search({ ...state, unlike: [...state.unlike, ...targets().map((clip) => clip.clip_id)] }); };

listen([
  ["/", "/", "search", () => at("text").focus()],
  ["j", "j  k", "next and previous clip, with Shift select", inGrid((shift) => grid.move(1, shift))],
  ["k", "", "", inGrid((shift) => grid.move(-1, shift))],
  ["J", "", "", inGrid((shift) => grid.move(1, shift))],
  ["K", "", "", inGrid((shift) => grid.move(-1, shift))],
  ["ArrowRight", "", "", inGrid((shift) => grid.move(1, shift))],
  ["ArrowLeft", "", "", inGrid((shift) => grid.move(-1, shift))],
  ["ArrowDown", "↓ ↑", "next and previous row, with Shift select", inGrid((shift) => grid.move(grid.columns, shift))],
  ["ArrowUp", "", "", inGrid((shift) => grid.move(-grid.columns, shift))],
  ["Home", "Home  End", "first and last clip", inGrid((shift) => grid.move(-grid.total, shift))],
  ["End", "", "", inGrid((shift) => grid.move(grid.total, shift))],
  ["v", "v", "select this clip, or not", inGrid(() => grid.toggleFocused())],
  [" ", "space", "play or stop", () => (player.isOpen ? player.togglePlay() : inGrid(() => grid.togglePlay())())],
  ["Enter", "enter", "open the clip", inGrid(() => open(grid.focused))],
  ["Escape", "esc", "close the clip", () => player.isOpen && player.close()],
  ...Array.from({ length: 9 }, (_, place) => [String(place + 1), place ? "" : "1 … 9", "label with this class", () => label(place + 1)]),
  ["0", "0", "remove the label", () => assign(null)],
  ["x", "x", "not of the chosen class", deny],
  ["u", "u", "undo", () => classes.undo()],
  ["n", "n", "learn, and suggest the next clips", () => (state.view === "suggest" ? suggestions.next() : show({ view: "suggest" }))],
  ["s", "s", "similar clips", similar],
  ["d", "d", "fewer like this", differ],
  ["a", "a", "select all clips in sight", inGrid(() => grid.selectSeen())],
  ["[", "[  ]", "move an edge of the stretch", () => player.isOpen && player.moveEdge(-1)],
  ["]", "", "", () => player.isOpen && player.moveEdge(1)],
  ["e", "e", "the other edge", () => player.isOpen && player.switchEdge()],
  ["l", "l", "loop", () => player.isOpen && player.toggleLoop()],
  [",", ",  .", "frame by frame", () => player.isOpen && player.stepFrame(-1)],
  [".", "", "", () => player.isOpen && player.stepFrame(1)],
  ["-", "-  +", "slower and faster", () => player.isOpen && player.changeSpeed(-1)],
  ["+", "", "", () => player.isOpen && player.changeSpeed(1)],
  ["?", "?", "these keys", () => at("keys").showModal()],
]);
at("similar").addEventListener("click", similar);

const facts = await classes.load();
if (facts.encoder === null && state.view === "search") show({ view: "bank" }, { replace: true }); // nothing to search yet
else enter();
at("grid").focus();
