// Where messages come from: the running edge, or a recording inside this file.

const inside = document.getElementById("recording");
const messages = inside ? JSON.parse(inside.textContent) : null;
const NAMES = ["hello", "graph", "states", "locks", "parts", "figures", "requests", "timeline", "details"];

export const recorded = messages !== null;

let stream = null;

// `handle` gets the name and the data of each message, `connected` whether there is a connection.
export function follow(handle, connected) {
  if (recorded) {
    for (const [name, data] of messages) handle(name, data);
    connected(true);
    return;
  }
  stream = new EventSource("events");
  stream.onopen = () => connected(true);
  stream.onerror = () => connected(false);
  for (const name of NAMES) stream.addEventListener(name, (event) => handle(name, JSON.parse(event.data)));
}

export function stop() {
  if (stream) stream.close();
  stream = null;
}

export async function ask(path, body) {
  if (recorded) throw new Error("This is a recording: only a running edge can answer that.");
  const options = body ? { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" } } : {};
  const answer = await fetch(path, options);
  if (!answer.ok) throw new Error(await answer.text());
  return answer.json();
}
