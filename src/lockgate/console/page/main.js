// Puts the page together: messages in, what is clicked out.

import { byId, clock, element } from "./format.js";
import { ask, follow, recorded, stop } from "./feed.js";
import { addSeries, drawCharts, resetSeries, showFigures, updateCharts } from "./charts.js";
import { chooseNode, drawTable, keys, resize, showGraph, updateFigures, updateStates, zoomBy } from "./graph.js";
import { addEvents, addRequests, chooseRequest, drawLocks, drawParts, drawRequests, drawTimeline, onOpen, requestOf, reset } from "./tables.js";
import { attemptDetails, closeDrawer, nodeDetails, openDrawer, requestDetails } from "./details.js";

let hello = {};
let graph = null;
let locks = [];
let presented = {}; // the nodes that present a certificate
let details = {};
let ready = "";
let filter = "";

const handlers = {
  hello(data) {
    hello = data;
    reset();
    resetSeries();
    byId("name").textContent = data.name;
    document.title = `${data.name} · Lockgate`;
    byId("urls").replaceChildren(...data.urls.map((url) => element("option", { value: url })));
    if (!byId("url").value && data.urls.length) byId("url").value = data.urls[0];
    byId("try").hidden = byId("filter-graph").hidden = !data.live;
    byId("export").hidden = recorded;
    byId("pause").hidden = recorded;
  },
  graph(data) {
    if (filter) return search();
    drawGraph(data);
  },
  states: updateStates,
  locks(data) {
    locks = data;
    drawLocks(locks, presented);
  },
  parts(data) {
    ready = data.ready ? "ready" : "not ready";
    drawParts(data);
    showStatus(true, [ready, ...data.shortfall]);
  },
  figures(data) {
    addSeries(data.series);
    updateCharts();
    updateFigures(data.of);
    showFigures(data.of[""]);
  },
  requests: addRequests,
  timeline: addEvents,
  details(data) {
    details = data;
  },
};

function drawGraph(data) {
  graph = data;
  presented = data.presented;
  showGraph(data, openNode);
  drawLocks(locks, presented);
  if (!byId("graph-table").hidden) drawTable();
}

function showStatus(connected, words) {
  if (words) showStatus.words = words;
  const said = showStatus.words ?? [];
  const bad = said[0] !== "ready";
  if (!connected) byId("status").replaceChildren(element("b", { class: "bad" }, "Not connected."), " Trying again.");
  else if (!hello.live) byId("status").replaceChildren(element("b", {}, "Recording"), ` of ${new Date((hello.until ?? hello.since) * 1000).toLocaleString([], { hour12: false })}`);
  else byId("status").replaceChildren(element("b", { class: bad ? "warn" : "ok" }, said.join(" · ")), ` · watching since ${clock(hello.since)}`);
}

function start() {
  follow((name, data) => handlers[name](data), (connected) => showStatus(connected));
}

async function openNode(id) {
  chooseNode(id);
  try {
    nodeDetails(details[id] ?? await ask(`api/node?id=${encodeURIComponent(id)}`));
  } catch (error) {
    openDrawer(id, element("p", { class: "bad" }, error.message));
  }
}

async function openRequest(id) {
  const request = requestOf(id);
  chooseRequest(id);
  let raw = null;
  try {
    if (hello.live) raw = await ask(`api/request?id=${id}`);
  } catch {
    // it is no longer among the last ones; its hops are still here
  }
  requestDetails(request, raw);
}

async function search() {
  filter = byId("filter-graph").value;
  try {
    drawGraph(await ask(`api/graph?match=${encodeURIComponent(filter)}`));
  } catch (error) {
    byId("left-out").textContent = error.message;
  }
}

function pairs(text) {
  return text.split(";").map((each) => each.trim()).filter(Boolean).map((each) => {
    const at = each.indexOf(":");
    return [each.slice(0, at < 0 ? each.length : at).trim(), at < 0 ? "" : each.slice(at + 1).trim()];
  });
}

byId("try").addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = byId("try").querySelector("button");
  button.disabled = true;
  try {
    attemptDetails(await ask("api/attempt", { method: byId("method").value, url: byId("url").value, headers: pairs(byId("headers").value) }));
  } catch (error) {
    openDrawer("The request was not sent", element("p", { class: "bad" }, error.message));
  }
  button.disabled = false;
});

byId("graph").addEventListener("click", (event) => {
  const node = event.target.closest(".node");
  if (node) openNode(node.dataset.node);
});
byId("graph").addEventListener("keydown", keys);
byId("as-table").addEventListener("click", () => {
  const table = byId("graph-table").hidden;
  byId("graph-table").hidden = !table;
  byId("graph").hidden = byId("zoom").hidden = table;
  byId("as-table").setAttribute("aria-pressed", String(table));
  if (table) drawTable();
  else resize();
});
byId("zoom-in").addEventListener("click", () => zoomBy(1.25));
byId("zoom-out").addEventListener("click", () => zoomBy(0.8));
byId("zoom-fit").addEventListener("click", () => zoomBy(0));
byId("close").addEventListener("click", closeDrawer);
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !byId("drawer").hidden) closeDrawer();
});

let typing = 0;
byId("filter-graph").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(search, 200);
});
byId("filter-requests").addEventListener("input", drawRequests);
byId("only-errors").addEventListener("change", drawRequests);
byId("filter-timeline").addEventListener("change", drawTimeline);
onOpen(openRequest);

const tabs = [...document.querySelectorAll("[role=tab]")];
function select(tab) {
  for (const each of tabs) {
    const chosen = each === tab;
    each.setAttribute("aria-selected", String(chosen));
    each.tabIndex = chosen ? 0 : -1;
    byId(each.getAttribute("aria-controls")).hidden = !chosen;
  }
}
for (const tab of tabs) {
  tab.addEventListener("click", () => select(tab));
  tab.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = tabs[(tabs.indexOf(tab) + step + tabs.length) % tabs.length];
    select(next);
    next.focus();
  });
}

byId("pause").addEventListener("click", () => {
  const paused = byId("pause").getAttribute("aria-pressed") !== "true";
  byId("pause").setAttribute("aria-pressed", String(paused));
  byId("pause").textContent = paused ? "Resume" : "Pause";
  if (paused) {
    stop();
    byId("status").replaceChildren(element("b", {}, "Paused"), ` at ${clock(Date.now() / 1000)}`);
  } else start();
});

const dark = window.matchMedia("(prefers-color-scheme: dark)");
function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  byId("theme").textContent = theme === "dark" ? "Light" : "Dark";
  drawCharts();
}
byId("theme").addEventListener("click", () => setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark"));
dark.addEventListener("change", () => setTheme(dark.matches ? "dark" : "light"));
window.addEventListener("resize", () => {
  resize();
  drawCharts();
});

setTheme(dark.matches ? "dark" : "light");
start();
