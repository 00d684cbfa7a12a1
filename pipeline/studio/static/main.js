// The page: what is shown follows from its address (state.js), what is typed and clicked changes that address.

import { element, request, say } from "./api.js";
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

const classes = new Classes({ onChange: classesChanged, onLabel: labelled, onTrained: trained });
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

function labelled(ids, label) {
  if (ids === null || !ids.length) grid.refresh();
  else grid.relabel(ids, label);
  if (ids?.includes(player.clip?.clip_id)) player.relabelled(label);
  // Unless another clip was chosen while the answer was under way.
  if (ids?.length === 1 && !grid.selected.size && grid.focused?.clip_id === ids[0]) grid.move(1);
}

function trained() {
  if (state.view === "review") review.enter();
}

function focused(clip) {
  if (player.isOpen && clip && clip.clip_id !== player.clip.clip_id) player.open(clip, state.head || classes.heads[0]);
}

function open(clip) {
  if (!clip) return;
  player.open(clip, state.head || classes.heads[0]);
  show({ clip: clip.clip_id }, { replace: true });
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

function drawQuery() {
  at("text").value = state.text;
  at("exclude").value = state.exclude;
  at("where").value = state.where.join(" and ");
  const chip = (words, change) => element("span", {}, words, element("button", { type: "button", "aria-label": `remove ${words}`, text: "×", onclick: () => show(change) }));
  const without = (list, id) => list.filter((one) => one !== id);
  at("chips").replaceChildren(
    ...state.like.map((id) => chip(`like ${id}`, { like: without(state.like, id) })),
    ...state.unlike.map((id) => chip(`unlike ${id}`, { unlike: without(state.unlike, id) })),
    ...(state.upload ? [chip("like the file", { upload: "" })] : []),
    ...(state.selection ? [chip("a selection", { selection: "" })] : []),
    ...(state.head ? [chip(`${state.order === "unsure" ? "least sure" : "predictions"} of ${state.head}`, { head: "", order: "" })] : []),
  );
}

async function loadClips() {
  drawQuery();
  say("Searching …");
  const page = async (start, count, signal) => {
    const query = state.head ? new URLSearchParams({ order: state.order || "best" }) : queryParameters();
    query.set("start", start);
    query.set("count", count);
    const path = state.head ? `/api/heads/${encodeURIComponent(state.head)}/clips` : "/api/clips";
    return request(`${path}?${query}`, { signal });
  };
  let first;
  try { first = await page(0, 60); } catch { return; }
  grid.load(page, first.total, first.clips);
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
    links.push(link(`/api/exports/predictions.csv?${given}`, `Predictions of ${head}, CSV`));
    links.push(link(`/api/exports/segments.vtt?${given}`, `Segments of ${head}, VTT`));
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
  if (wanted === entered) return;
  entered = wanted;
  if (state.view === "search") loadClips();
  else ({ suggest: suggestions, review, map, bank: videos })[state.view]?.enter();
}

onShow(enter);

// Keys ------------------------------------------------------------------------------------------

const label = (number) => {
  const name = classes.names[number - 1];
  if (name === undefined) say(`There is no class ${number}: add one at the left.`);
  else classes.assign(name, grid.targets, player.stretch);
};
const deny = () => {
  if (classes.active) classes.assign(classes.active, grid.targets, player.stretch, { denied: true });
  else say("Choose the class at the left that these clips are not of.");
};
const similar = () => { if (grid.focused) search({ like: grid.targets.map((clip) => clip.clip_id) }); };
const differ = () => { if (grid.focused) search({ ...state, unlike: [...state.unlike, ...grid.targets.map((clip) => clip.clip_id)] }); };

listen([
  ["/", "/", "search", () => at("text").focus()],
  ["j", "j  k", "next and previous clip", () => grid.move(1)],
  ["k", "", "", () => grid.move(-1)],
  ["ArrowRight", "", "", () => grid.move(1)],
  ["ArrowLeft", "", "", () => grid.move(-1)],
  ["ArrowDown", "↓ ↑", "next and previous row", () => grid.move(grid.columns)],
  ["ArrowUp", "", "", () => grid.move(-grid.columns)],
  ["Home", "Home  End", "first and last clip", () => grid.move(-grid.total)],
  ["End", "", "", () => grid.move(grid.total)],
  [" ", "space", "play or stop", () => (player.isOpen ? player.togglePlay() : grid.togglePlay())],
  ["Enter", "enter", "open the clip", () => open(grid.focused)],
  ["Escape", "esc", "close the clip", () => player.isOpen && player.close()],
  ...Array.from({ length: 9 }, (_, place) => [String(place + 1), place ? "" : "1 … 9", "label with this class", () => label(place + 1)]),
  ["0", "0", "remove the label", () => classes.assign(null, grid.targets, player.stretch)],
  ["x", "x", "not of the chosen class", deny],
  ["u", "u", "undo", () => classes.undo()],
  ["n", "n", "learn, and suggest the next clips", () => (state.view === "suggest" ? suggestions.next() : show({ view: "suggest" }))],
  ["s", "s", "similar clips", similar],
  ["d", "d", "fewer like this", differ],
  ["a", "a", "select all clips in sight", () => grid.selectSeen()],
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
if (state.clip) open(await request(`/api/clips/${encodeURIComponent(state.clip)}`));
at("grid").focus();
