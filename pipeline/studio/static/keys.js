// The keyboard: one key for everything that is done often. Keys never fire while text is edited.

import { element } from "./api.js";

const at = (id) => document.getElementById(id);

// Held down, these go on; others act once.
const REPEATING = new Set(["j", "k", "J", "K", "ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "[", "]", ",", "."]);

/** `keys` is a list of [key, shown as, what it does, action]; an action gets whether Shift is held down. */
export function listen(keys) {
  const actions = new Map(keys.map(([key, , , action]) => [key, action]));
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape" && isText(event.target)) { event.target.blur(); return; }
    if (isText(event.target) || at("keys").open || event.target.id === "map") return;
    // Enter and space belong to the button or link that has the focus.
    if (["Enter", " "].includes(event.key) && event.target.closest("button, a, summary, label")) return;
    const action = actions.get(event.key);
    if (!action) return;
    event.preventDefault();
    if (!event.repeat || REPEATING.has(event.key)) action(event.shiftKey);
  });
  const shown = keys.filter(([, name]) => name);
  at("key-list").replaceChildren(...shown.map(([, name, what]) =>
    element("tr", {}, element("td", {}, element("kbd", { text: name })), element("td", { text: what }))));
  at("show-keys").addEventListener("click", () => at("keys").showModal());
  at("close-keys").addEventListener("click", () => at("keys").close());
}

function isText(target) {
  return target.closest?.("textarea, select, [contenteditable], input:not([type=checkbox]):not([type=file])") !== null;
}
