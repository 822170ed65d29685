// The lists below the graph: requests, timeline, certificates, parts.

import { byId, clock, day, element, levelOf } from "./format.js";
import { nodeOf } from "./graph.js";

const KEPT = 1000;
const SHOWN = 200; // rows of requests
let requests = []; // the newest first
let events = []; // the newest first
let open = () => {};

export const requestOf = (id) => requests.find((request) => request.id === id);
export const onOpen = (handler) => { open = handler; };

export function reset() {
  requests = [];
  events = [];
  drawRequests();
  drawTimeline();
}

export function addRequests(fresh) {
  const known = requests[0]?.id ?? 0;
  const added = fresh.filter((request) => request.id > known).reverse();
  requests = [...added, ...requests].slice(0, KEPT);
  const body = byId("rows-requests");
  body.prepend(...added.filter(matches).slice(0, SHOWN).map(requestRow));
  while (body.children.length > SHOWN) body.lastChild.remove();
  countRequests();
}

function matches(request) {
  if (byId("only-errors").checked && request.status && request.status < 400) return false;
  const text = byId("filter-requests").value.toLowerCase();
  return !text || `${request.status} ${request.method} ${request.host}${request.path} ${request.by} ${request.reason} ${request.client}`.toLowerCase().includes(text);
}

function requestRow(request) {
  return element("tr", { "data-request": request.id },
    element("td", { class: "time" }, clock(request.time)),
    element("td", { class: `word ${levelOf(request.status)}` }, request.status ? String(request.status) : "none"),
    element("td", { class: "request" }, element("button", { class: "plainly", type: "button", title: `${request.host}${request.path}`, onclick: () => open(request.id) }, `${request.method} ${request.host}${request.path}`)),
    element("td", { class: "number" }, String(request.ms)),
    element("td", { class: "word" }, request.by),
    element("td", { class: "reason", title: request.reason }, request.reason));
}

export function drawRequests() {
  byId("rows-requests").replaceChildren(...requests.filter(matches).slice(0, SHOWN).map(requestRow));
  countRequests();
}

function countRequests() {
  const found = requests.filter(matches).length;
  byId("count-requests").textContent = requests.length ? String(requests.length) : "";
  byId("shown-requests").textContent = !requests.length
    ? "No request yet. Send one above, or: lockgate exec -- curl https://HOST/"
    : found > SHOWN ? `${SHOWN} of ${found} are shown` : found < requests.length ? `${found} of ${requests.length}` : "";
}

export function chooseRequest(id) {
  for (const row of byId("rows-requests").querySelectorAll(".chosen")) row.classList.remove("chosen");
  byId("rows-requests").querySelector(`[data-request="${id}"]`)?.classList.add("chosen");
}

export function addEvents(fresh) {
  const known = events[0]?.number ?? 0;
  events = [...fresh.filter((event) => event.number > known).reverse(), ...events].slice(0, KEPT);
  drawTimeline();
}

export function drawTimeline() {
  const kinds = byId("filter-timeline").value.split(" ");
  const chosen = events.filter((event) => !kinds[0] || kinds.includes(event.kind));
  byId("rows-timeline").replaceChildren(...chosen.map((event) => element("tr", {},
    element("td", { class: "time" }, clock(event.time)),
    element("td", { class: `word ${event.level === "info" ? "dim" : event.level}` }, event.kind),
    element("td", {}, event.text),
    element("td", { class: "mono dim" }, event.at))));
  const bad = events.filter((event) => event.level === "bad").length;
  byId("count-timeline").textContent = bad ? `${bad} ${bad === 1 ? "fault" : "faults"}` : "";
  byId("count-timeline").className = bad ? "bad" : "";
}

export function drawLocks(locks, nodes) {
  const wrong = locks.filter((lock) => lock.state !== "ok").length;
  byId("count-locks").textContent = wrong ? `${wrong} to look at` : String(locks.length || "");
  byId("count-locks").className = wrong ? "warn" : "";
  byId("rows-locks").replaceChildren(...locks.map((lock) => element("tr", {},
    element("td", {}, lock.subject || lock.reference, element("div", { class: "mono dim" }, lock.reference.split("/").slice(-2).join("/"))),
    element("td", {}, ...(nodes[lock.reference] ?? []).map((id) => element("div", {}, nodeOf(id) ? `${nodeOf(id).title} · ${nodeOf(id).detail}` : id))),
    element("td", {}, lock.names.join(", ")),
    element("td", {}, lock.issuer),
    element("td", { class: `word ${lock.days < 14 ? "warn" : ""}` }, lock.serial ? `${day(lock.not_after)} (${lock.days} days)` : ""),
    element("td", { class: lock.state }, lock.verifies ? "yes" : lock.why),
    element("td", { class: "dim" }, lock.client))));
}

export function drawParts(message) {
  const waiting = message.parts.filter(([, , state]) => state !== "ready").length;
  byId("count-parts").textContent = waiting ? `${waiting} not ready` : String(message.parts.length);
  byId("count-parts").className = waiting ? "warn" : "";
  const levels = { ready: "ok", waiting: "warn", failed: "bad", refused: "bad", unserved: "warn" };
  byId("rows-parts").replaceChildren(...message.parts.map(([part, name, state, detail]) => element("tr", {},
    element("td", { class: `word ${levels[state]}` }, state), element("td", { class: "word" }, part), element("td", {}, name), element("td", {}, detail))));
}
