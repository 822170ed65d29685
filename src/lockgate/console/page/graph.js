// The path of requests: the server's SVG with live figures, and the same as a table.

import { byId, element, milliseconds, rate, share } from "./format.js";

let nodes = new Map();
let links = [];
let shapes = new Map(); // of nodes, with the texts in them
let lines = new Map(); // of links
let states = {};
let figures = {};
let zoom = 0; // 0 fits the width
let choose = () => {};

export const nodeOf = (id) => nodes.get(id);
export const stateOf = (id) => states[id] ?? ["idle", "", "", ""];

export function showGraph(message, chosen) {
  choose = chosen;
  nodes = new Map(message.nodes.map((node) => [node.id, node]));
  links = message.links;
  const box = byId("graph");
  const at = [box.scrollLeft, box.scrollTop];
  const focused = document.activeElement?.getAttribute?.("data-node");
  box.replaceChildren();
  if (message.svg) box.append(document.importNode(new DOMParser().parseFromString(message.svg, "image/svg+xml").documentElement, true));
  else box.append(element("p", { class: "empty" }, "Nothing here contains that."));
  shapes = new Map();
  for (const shape of box.querySelectorAll(".node")) {
    const part = (name) => shape.querySelector(`.${name}`);
    shapes.set(shape.dataset.node, { shape, figures: part("figures"), lock: part("lock"), detail: part("detail"), title: shape.querySelector("title") });
  }
  lines = new Map([...box.querySelectorAll("[data-link]")].map((line) => [line.dataset.link, line]));
  byId("left-out").textContent = message.left_out ? `${message.left_out} others are not shown` : "";
  resize();
  updateStates({ ...states, ...message.states });
  updateFigures(figures);
  box.scrollTo(...at);
  shapes.get(focused)?.shape.focus();
}

export function updateStates(changed) {
  states = { ...states, ...changed };
  for (const [id, [level, text, lock, lockLevel]] of Object.entries(changed)) {
    const found = shapes.get(id);
    if (!found) continue;
    found.shape.classList.remove("ok", "warn", "bad", "idle");
    found.shape.classList.add(level);
    const label = found.shape.dataset.label + (level === "bad" || level === "warn" ? `, ${level === "bad" ? "fault" : "warning"}` : "") + (text ? `: ${text}` : "");
    found.title.textContent = label;
    if (found.lock) found.lock.textContent = lock;
    if (text.endsWith("healthy")) found.detail.textContent = `${nodes.get(id).detail.split(" · ")[0]} · ${text}`;
    found.lock?.setAttribute("class", `lock ${lockLevel}`);
    writeFigures(id);
  }
  if (!byId("graph-table").hidden) drawTable();
}

export function updateFigures(of) {
  const touched = new Set([...Object.keys(figures), ...Object.keys(of)]);
  figures = of;
  for (const id of touched) {
    if (id.includes(">")) {
      const line = lines.get(id);
      const now = of[id];
      if (!line) continue;
      line.classList.toggle("busy", Boolean(now));
      line.classList.toggle("bad", Boolean(now && now[5]));
      line.style.strokeWidth = now ? String(Math.min(1.25 + Math.log10(1 + now[0]) * 1.5, 6)) : "";
    } else writeFigures(id);
  }
  if (!byId("graph-table").hidden) drawTable();
}

function writeFigures(id) {
  const found = shapes.get(id);
  if (!found) return;
  const now = figures[id];
  const [level, text] = stateOf(id);
  let shown = "";
  const also = !now ? "" : now[1] ? `${share(now[1])} 5xx` : now[2] ? `${share(now[2])} 4xx` : now[4] ? `p99 ${milliseconds(now[4])}` : "";
  if (now) shown = rate(now[0]) + (also ? ` · ${also}` : "");
  else if (level === "bad" || level === "warn") shown = text.split(" · ")[0];
  if (shown.length > 24) shown = `${shown.slice(0, 23)}…`;
  if (found.figures.textContent !== shown) found.figures.textContent = shown;
  found.shape.classList.toggle("failing", Boolean(now && now[5]));
  found.figures.setAttribute("class", `figures ${now && now[5] ? "bad" : now ? "" : level === "bad" ? "bad" : "quiet"}`);
}

export function chooseNode(id) {
  for (const { shape } of shapes.values()) shape.classList.remove("chosen");
  const shape = shapes.get(id)?.shape;
  shape?.classList.add("chosen");
  shape?.scrollIntoView({ block: "nearest", inline: "nearest" });
}

// Shows the way of one request; without steps, that of all.
export function trace(steps) {
  const svg = byId("graph").querySelector("svg");
  if (!svg) return;
  for (const each of svg.querySelectorAll(".passed")) each.classList.remove("passed");
  svg.classList.toggle("traced", Boolean(steps?.length));
  (steps ?? []).forEach((id, place) => {
    shapes.get(id)?.shape.classList.add("passed");
    lines.get(`${steps[place - 1]}>${id}`)?.classList.add("passed");
  });
  if (steps?.length) shapes.get(steps.at(-1))?.shape.scrollIntoView({ block: "nearest", inline: "nearest" });
}

export function zoomBy(factor) {
  const svg = byId("graph").querySelector("svg");
  if (!svg) return;
  zoom = factor ? Math.min(Math.max((svg.clientWidth / svg.viewBox.baseVal.width) * factor, 0.25), 3) : 0;
  resize();
}

export function resize() {
  const box = byId("graph");
  const svg = box.querySelector("svg");
  if (!svg) return;
  const { width, height } = svg.viewBox.baseVal;
  const fitting = Math.min(1.15, Math.max(0.85, (box.clientWidth - 2) / width));
  const scale = zoom || fitting;
  svg.setAttribute("width", Math.floor(width * scale));
  svg.setAttribute("height", Math.floor(height * scale));
}

// One node is in the tab order; arrow keys lead along links, and up and down in a column.
export function keys(event) {
  const id = event.target.closest?.(".node")?.dataset.node;
  if (!id) return;
  const column = [...nodes.values()].filter((node) => node.kind === nodes.get(id).kind).map((node) => node.id);
  const height = (node) => shapes.get(node).shape.getBoundingClientRect().top;
  column.sort((one, other) => height(one) - height(other));
  const at = column.indexOf(id);
  const next = {
    ArrowDown: () => column[at + 1],
    ArrowUp: () => column[at - 1],
    ArrowRight: () => links.find(([source]) => source === id)?.[1],
    ArrowLeft: () => links.find(([, target]) => target === id)?.[0],
    Enter: () => { choose(id); },
    " ": () => { choose(id); },
  }[event.key];
  if (!next) return;
  event.preventDefault();
  const to = next();
  if (!to || !shapes.has(to)) return;
  shapes.get(id).shape.setAttribute("tabindex", "-1");
  shapes.get(to).shape.setAttribute("tabindex", "0");
  shapes.get(to).shape.focus();
}

export function drawTable() {
  const rows = [...nodes.values()].map((node) => {
    const [level, text, lock, lockLevel] = stateOf(node.id);
    const now = figures[node.id];
    const word = { ok: "ok", warn: "warning", bad: "fault", idle: "" }[level];
    return element("tr", {},
      element("td", { class: "word dim" }, node.kind),
      element("td", {}, element("button", { class: "plainly", type: "button", onclick: () => choose(node.id) }, node.title), element("div", { class: "dim" }, node.detail)),
      element("td", {}, element("b", { class: level }, word), text ? ` ${text}` : ""),
      element("td", { class: `word ${lockLevel}` }, lock),
      element("td", { class: "number" }, now ? rate(now[0]) : ""),
      element("td", { class: `number ${now && now[5] ? "bad" : ""}` }, now ? share(now[1]) : ""),
      element("td", { class: "number" }, now && now[4] ? milliseconds(now[3]) : ""),
      element("td", { class: "number" }, now && now[4] ? milliseconds(now[4]) : ""),
      element("td", { class: "mono dim" }, node.at));
  });
  const heads = ["Kind", "Node", "State", "Certificate", "Requests", "5xx", "p50", "p99", "Line"];
  const table = element("table", {}, element("thead", {}, element("tr", {}, ...heads.map((head, place) => element("th", { scope: "col", class: place > 3 && place < 8 ? "number" : false }, head)))), element("tbody", {}, ...rows));
  byId("graph-table").replaceChildren(table);
}
