// Small helpers: elements, numbers, times.

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "onclick") made.addEventListener("click", value);
    else if (value !== false && value != null) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child != null));
  return made;
}

export const byId = (id) => document.getElementById(id);

export function rate(perSecond) {
  if (!perSecond) return "0/s";
  return perSecond >= 10 ? `${Math.round(perSecond)}/s` : `${perSecond.toFixed(perSecond < 1 ? 2 : 1)}/s`;
}

export function share(part) {
  if (!part) return "0 %";
  const percent = part * 100;
  return percent < 1 ? `${percent.toFixed(1)} %` : `${Math.round(percent)} %`;
}

export function milliseconds(ms) {
  return ms >= 10000 ? `${(ms / 1000).toFixed(1)} s` : `${ms} ms`;
}

export const clock = (seconds) => new Date(seconds * 1000).toLocaleTimeString([], { hour12: false });

export const day = (seconds) => new Date(seconds * 1000).toISOString().slice(0, 10);

export function levelOf(status) {
  if (!status || status >= 500) return "bad";
  return status >= 400 ? "warn" : "ok";
}
