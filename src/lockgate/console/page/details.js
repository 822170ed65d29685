// The drawer: a node's object, findings and Envoy configuration; a request's hops; a prediction beside the real request.

import { byId, clock, day, element, levelOf, milliseconds } from "./format.js";
import { nodeOf, trace } from "./graph.js";

let before = null; // what had the focus

export function openDrawer(title, ...contents) {
  if (byId("drawer").hidden) before = document.activeElement;
  byId("drawer-title").textContent = title;
  byId("drawer-body").replaceChildren(...contents.filter(Boolean));
  byId("drawer-body").scrollTop = 0;
  byId("drawer").hidden = false;
  byId("drawer-title").focus();
  window.dispatchEvent(new Event("resize"));
}

export function closeDrawer() {
  byId("drawer").hidden = true;
  trace(null);
  if (before?.isConnected) before.focus();
  window.dispatchEvent(new Event("resize"));
}

function code(text, first, line) {
  const lines = text.replace(/\n$/, "").split("\n");
  return element("pre", { tabindex: "0" }, ...lines.map((each, place) => {
    const number = first + place;
    return element("span", { class: first && number === line ? "here" : false }, first ? element("i", {}, String(number)) : null, each || " ");
  }));
}

export function nodeDetails(found) {
  const [level, text] = found.state ?? ["idle", ""];
  const locks = found.locks.flatMap((lock) => [
    element("p", {}, lock.subject || lock.reference, lock.serial ? ` · ${lock.issuer} · until ${day(lock.not_after)}, ${lock.days} days` : ""),
    element("p", { class: lock.state }, lock.verifies ? "It verifies." : lock.why),
    element("p", { class: "dim" }, lock.client)]);
  const findings = found.findings.map((each) => element("div", { class: `finding ${each.severity}` },
    element("div", {}, element("b", { class: each.severity === "error" ? "bad" : "warn" }, each.code), ` ${each.message}`),
    each.fix ? element("div", { class: "dim" }, `Fix: ${each.fix}`) : null,
    each.position ? element("div", { class: "mono dim" }, `${each.position.file}:${each.position.line}:${each.position.column}`) : null));
  openDrawer(`${found.kind}: ${found.title}`,
    element("p", { class: "dim" }, found.detail),
    text ? element("p", { class: level }, text) : null,
    locks.length ? element("h3", {}, "Certificate") : null, ...locks,
    element("h3", {}, "Findings"), ...(findings.length ? findings : [element("p", { class: "dim" }, "check finds nothing in this object.")]),
    element("h3", {}, found.object ? `${found.object} · ` : "Manifest", found.at ? element("span", { class: "mono" }, found.at) : null),
    found.manifest ? code(found.manifest, found.first, found.line) : element("p", { class: "dim" }, found.object ? "It is in no file: it was supplied, or made through an API." : "Nothing in a manifest makes this."),
    found.envoy ? element("details", {}, element("summary", {}, `Envoy's configuration (${found.envoy_node})`), code(found.envoy, 0, 0)) : null);
  for (const here of byId("drawer-body").querySelectorAll(".here")) here.parentElement.scrollTop = here.offsetTop - here.parentElement.offsetTop - 60;
}

function hops(request) {
  const longest = Math.max(...request.steps.map(([, , ms]) => ms ?? 0), 1);
  return element("table", { class: "hops" }, element("tbody", {}, ...request.steps.map(([id, text, ms]) => {
    const node = nodeOf(id);
    const bar = element("span", { class: "share" });
    bar.style.width = `${(100 * (ms ?? 0)) / longest}%`;
    return element("tr", {}, element("td", {}, node?.kind ?? ""),
      element("td", {}, node ? `${node.title}` : id, element("div", { class: "dim" }, [node?.detail, text].filter(Boolean).join(" · "))),
      element("td", { class: "number" }, ms == null ? "" : milliseconds(ms), ms == null ? null : bar));
  })));
}

export function requestDetails(request, raw) {
  const answered = request.status ? `${request.status} from the ${request.by}` : "no answer";
  const again = element("button", { type: "button", onclick: () => fill(request) }, "Put into the request box");
  openDrawer(`${request.method} ${request.host}${request.path}`,
    element("p", {}, element("b", { class: levelOf(request.status) }, answered), ` in ${milliseconds(request.ms)} · ${request.protocol} · ${clock(request.time)} · ${request.client}`),
    request.reason ? element("p", { class: levelOf(request.status) }, request.reason) : null,
    element("h3", {}, "Hops"), hops(request),
    element("p", {}, again),
    raw ? element("details", {}, element("summary", {}, "What the Envoys logged"), code(JSON.stringify(raw.raw, null, 2), 0, 0)) : null);
  trace(request.steps.map(([id]) => id));
}

function fill(request) {
  const tls = request.steps.some(([id]) => nodeOf(id)?.kind === "Listener" && nodeOf(id).title.startsWith("HTTPS"));
  byId("method").value = request.method;
  byId("url").value = `http${tls ? "s" : ""}://${request.host}${request.path}`;
  byId("url").focus();
}

const COLUMNS = ["DNS", "Listener", "Rule", "Target group", "Gateway", "Route", "Service"];

export function attemptDetails(found) {
  const { predicted, observed, seen } = found;
  const ending = predicted.ending;
  const expected = ending.status ? `${ending.status} from the ${ending.by}` : ending.backend ? `${ending.backend} answers` : "no answer";
  const rows = COLUMNS.map((column) => {
    const planned = predicted.hops.filter((hop) => hop.column === column);
    const taken = (seen?.steps ?? []).filter(([id]) => nodeOf(id)?.kind === column);
    if (!planned.length && !taken.length) return null;
    return element("tr", {}, element("td", {}, column),
      element("td", {}, ...planned.map((hop) => element("div", {},
        element("span", { class: hop.verdict === "fails" ? "bad" : hop.verdict === "undecided" ? "warn" : "" }, hop.title),
        hop.at ? element("div", { class: "mono dim" }, hop.at) : null,
        ...hop.facts.filter((fact) => hop.verdict !== "passes" && !fact.skipped).slice(0, 4).map((fact) => element("div", { class: "dim" }, fact.text))))),
      element("td", {}, ...(taken.length ? taken.map(([id, text, ms]) => element("div", {}, nodeOf(id).title,
        element("div", { class: "dim" }, [text, ms == null ? "" : milliseconds(ms)].filter(Boolean).join(" · ")))) : [element("span", { class: "dim" }, column === "DNS" || seen ? "" : "not logged")])));
  }).filter(Boolean);
  const real = observed.status == null ? element("b", { class: "bad" }, `no answer: ${observed.error}`) : element("b", { class: levelOf(observed.status) }, `${observed.status}${observed.location ? ` to ${observed.location}` : ""}`);
  openDrawer(`${predicted.request.method} ${predicted.request.url}`,
    element("div", { class: "answer" },
      element("div", {}, element("div", { class: "dim" }, "Predicted"), element("b", { class: ending.cause ? "bad" : "" }, expected)),
      element("div", {}, element("div", { class: "dim" }, "Real"), real, ` in ${milliseconds(observed.ms)}`, observed.backend ? element("div", {}, observed.backend) : null)),
    ...(found.differences.length ? found.differences.map((each) => element("p", { class: "differs" }, each)) : [element("p", { class: "ok" }, "The real request went as predicted.")]),
    seen?.reason ? element("p", { class: levelOf(seen.status) }, seen.reason) : null,
    ending.cause ? element("p", { class: "bad" }, ending.cause, ending.at ? element("span", { class: "mono dim" }, ` ${ending.at}`) : null) : null,
    ending.fix ? element("p", {}, `Fix: ${ending.fix}`) : null,
    element("h3", {}, "Hop by hop"),
    element("table", { class: "hops" }, element("thead", {}, element("tr", {}, ...["Hop", "Predicted", "Real"].map((head) => element("th", { scope: "col" }, head)))), element("tbody", {}, ...rows)));
  trace(seen ? seen.steps.map(([id]) => id) : null);
}
