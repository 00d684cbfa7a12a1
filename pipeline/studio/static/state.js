// What the page shows, kept in its address: back, forward and reload work, and an address can be kept.

const LISTS = ["like", "unlike", "where"];
const WORDS = ["view", "text", "exclude", "upload", "selection", "head", "class_name", "order", "feed", "clip"];

export const state = read();
const listeners = [];

function read() {
  const given = new URLSearchParams(location.search);
  const found = Object.fromEntries(WORDS.map((name) => [name, given.get(name) ?? ""]));
  for (const name of LISTS) found[name] = given.getAll(name);
  found.view ||= "search";
  return found;
}

function parameters(names) {
  const written = new URLSearchParams();
  for (const name of names) for (const value of [state[name]].flat()) if (value) written.append(name, value);
  return written;
}

/** The parameters of the clips that the grid shows, as the API takes them. */
export const queryParameters = () => parameters(["text", "exclude", "upload", "selection", ...LISTS]);

/** Changes what is shown; `replace` does so without a step that "back" goes to. */
export function show(changes, { replace = false } = {}) {
  Object.assign(state, changes);
  const address = `?${parameters([...WORDS, ...LISTS])}`;
  if (address !== location.search) history[replace ? "replaceState" : "pushState"](null, "", address);
  for (const listener of listeners) listener(state);
}

/** A new query in the view for searching. */
export function search(changes) {
  const empty = { text: "", exclude: "", upload: "", selection: "", like: [], unlike: [], where: [], head: "", order: "" };
  show({ ...empty, view: "search", clip: "", class_name: "", ...changes });
}

export const onShow = (listener) => listeners.push(listener);

addEventListener("popstate", () => {
  Object.assign(state, read());
  for (const listener of listeners) listener(state);
});
