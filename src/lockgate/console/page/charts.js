// The three charts of the whole edge, by uPlot.

import { byId, milliseconds, rate, share } from "./format.js";

const SECONDS = 300; // that are shown
const series = []; // [second, requests, errors, p50, p99]
let plots = [];

export function addSeries(points) {
  for (const point of points) {
    if (!series.length || series.at(-1)[0] < point[0]) series.push(point);
  }
  while (series.length && series[0][0] < series.at(-1)[0] - SECONDS) series.shift();
}

export function resetSeries() {
  series.length = 0;
}

export function drawCharts() {
  for (const plot of plots) plot.destroy();
  const styles = getComputedStyle(document.documentElement);
  const colour = (name) => styles.getPropertyValue(`--${name}`).trim();
  const made = (id, lines) => {
    const box = byId(id);
    const axis = { stroke: colour("dim"), grid: { stroke: colour("soft"), width: 1 }, ticks: { show: false }, font: "10px system-ui" };
    return new window.uPlot({
      width: box.clientWidth || 300,
      height: 64,
      cursor: { show: false },
      legend: { show: false },
      padding: [8, 2, 0, 0],
      scales: { y: { range: (_, least, most) => [0, Math.max(most * 1.15, 1)] } },
      axes: [
        { ...axis, size: 16, gap: 2, space: 90, values: (_, ticks) => ticks.map((at) => new Date(at * 1000).toLocaleTimeString([], { hour12: false, hour: "2-digit", minute: "2-digit", second: "2-digit" })) },
        { ...axis, size: 36, gap: 4, space: 18, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000] },
      ],
      series: [{}, ...lines.map((name) => ({ stroke: colour(name), width: 1.5, points: { show: false }, fill: lines.length === 1 ? `${colour(name)}22` : undefined }))],
    }, [[], ...lines.map(() => [])], box);
  };
  plots = [made("chart-rate", ["accent"]), made("chart-errors", ["bad"]), made("chart-latency", ["accent", "warn"])];
  updateCharts();
}

export function updateCharts() {
  if (!plots.length) return;
  const column = (place) => series.map((point) => point[place]);
  const times = column(0);
  const quiet = (place) => series.map((point) => (point[1] ? point[place] : null));
  plots[0].setData([times, column(1)]);
  plots[1].setData([times, column(2)]);
  plots[2].setData([times, quiet(3), quiet(4)]);
}

export function showFigures(whole) {
  const [requests, errors, refused, p50, p99] = whole ?? [0, 0, 0, 0, 0];
  byId("rate").textContent = rate(requests);
  byId("errors").textContent = `${share(errors)} 5xx${refused ? ` · ${share(refused)} 4xx` : ""}`;
  byId("errors").className = errors ? "bad" : "";
  byId("latency").textContent = whole ? `p50 ${milliseconds(p50)} · p99 ${milliseconds(p99)}` : "";
}
