// Requests to the studio's server, and the line at the foot of the page that says what went wrong.

const status = document.getElementById("status");

export function say(text, { error = false } = {}) {
  status.textContent = text;
  status.classList.toggle("error", error);
}

/** Which page this is: undo takes back what was done here, not in another tab. */
const PAGE = (sessionStorage.clipdexPage ??= crypto.randomUUID());

/** An error that the foot of the page shows already. */
class Refused extends Error {}

addEventListener("unhandledrejection", (event) => {
  if (event.reason instanceof Refused || event.reason?.name === "AbortError") event.preventDefault();
});

/** The answer's JSON; an error is shown, unless `quiet`, and thrown. */
export async function request(path, { method = "GET", json, body, signal, quiet = false } = {}) {
  const headers = { "X-Clipdex-Page": PAGE, ...(json === undefined ? {} : { "Content-Type": "application/json" }) };
  let answer;
  try {
    answer = await fetch(path, { method, headers, body: json === undefined ? body : JSON.stringify(json), signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    say("The studio does not answer: was it ended in the terminal?", { error: true });
    throw new Refused(error.message);
  }
  const content = await answer.json().catch(() => ({ error: `status ${answer.status}` }));
  if (!answer.ok) {
    if (!quiet) say(content.error, { error: true });
    throw new Refused(content.error);
  }
  return content;
}

/** Waits for a job and gives its result; `onProgress` gets its state several times a second. */
export async function follow(job, onProgress = () => {}) {
  let state = job;
  while (state.state === "waiting" || state.state === "running") {
    onProgress(state);
    await new Promise((resolve) => setTimeout(resolve, 250));
    state = await request(`/api/jobs/${state.id}`);
  }
  onProgress(state);
  return state;
}

/** Where a stretch lies: the name of its video, from when to when. */
export const place = (name, start, stop) => `${name} ${clock(start)} – ${clock(stop)}`;

/** The text of a number of seconds. */
export function clock(seconds) {
  const minutes = Math.floor(seconds / 60);
  const rest = (seconds - 60 * minutes).toFixed(1);
  return minutes ? `${minutes}:${rest.padStart(4, "0")}` : `${rest} s`;
}

/** Colours that differ, also for people who see few of them (Okabe and Ito), then around the circle. */
export function colour(number) {
  const first = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#b5a700", "#7a5cc8"];
  return first[number] ?? `hsl(${(number * 137.5) % 360} 60% 55%)`;
}

export function element(name, { text, ...attributes } = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) made.setAttribute(key, value);
  }
  if (text !== undefined) made.textContent = text;
  made.append(...children);
  return made;
}
