// What happened around a moment, and how the fabric was then.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const list = document.getElementById("events");
  if (!list) return;

  const AROUND = 1, MOST = 400; // seconds before and after; lines
  const SIGNS = {
    bad: "M1 1h10L6 11z", warn: "M6 0l6 11H0z", fault: "M1 1h10v10H1z", off: "M6 0l6 6-6 6-6-6z",
    good: "M1 6l2-2 2 2 4-5 2 2-6 7z", step: "M6 2a4 4 0 1 0 .01 0z", dim: "M6 4a2 2 0 1 0 .01 0z",
  };
  const COLOURS = { bad: "--bad", warn: "--warn", fault: "--fault", off: "--off", good: "--good", step: "--step", dim: "--dim" };
  const state = { track: 0, time: null, outage: null, wanted: "" };
  const element = (name, css, text) => {
    const made = document.createElement(name);
    if (css) made.className = css;
    if (text !== undefined) made.textContent = text;
    return made;
  };

  function signed(seconds) {
    const digits = Math.abs(seconds) < 100 ? 3 : 1;
    return `${seconds < 0 ? "−" : "+"}${Math.abs(seconds).toFixed(digits)} s`;
  }
  function timeOfDay(time) {
    if (!data.wall) return `${time.toFixed(3)} s after the start`;
    const moment = new Date((data.wall + time) * 1000);
    return `${moment.toLocaleTimeString([], { hour12: false })}.${String(moment.getMilliseconds()).padStart(3, "0")}`;
  }

  function around() {
    const events = data.tracks[state.track].events;
    const from = state.time - AROUND, to = (state.outage ? state.outage.end : state.time) + AROUND;
    const says = (event) => !state.wanted || `${event[2]} ${event[3]}`.toLowerCase().includes(state.wanted);
    let first = 0, last = events.length; // the earliest that is not before `from`
    while (first < last) {
      const middle = (first + last) >> 1;
      if (events[middle][0] < from) first = middle + 1; else last = middle;
    }
    const found = [];
    for (let at = first; at < events.length && events[at][0] <= to; at += 1) if (says(events[at])) found.push(events[at]);
    return found;
  }

  function lineOf([time, kind, source, text, tone]) {
    const line = element("li", tone);
    const space = "http://www.w3.org/2000/svg";
    const sign = document.createElementNS(space, "svg"), path = document.createElementNS(space, "path");
    sign.setAttribute("viewBox", "0 0 12 12");
    sign.setAttribute("aria-hidden", "true");
    path.setAttribute("d", SIGNS[tone] || SIGNS.dim);
    path.setAttribute("style", `fill: var(${COLOURS[tone] || "--dim"})`);
    sign.append(path);
    line.append(sign, element("span", "after", signed(time - state.time)), element("span", "source", source), element("span", "text", text));
    line.title = `${kind}, ${timeOfDay(time)}`;
    line.dataset.time = time;
    return line;
  }

  function show() {
    const found = around();
    const kept = found.length > MOST ? [...found.slice(0, MOST / 2), null, ...found.slice(-MOST / 2)] : found;
    const lines = kept.map((event) => (event ? lineOf(event) : element("li", "more", `… ${found.length - MOST} more: filter, or choose a moment between`)));
    list.replaceChildren(...(lines.length ? lines : [element("li", "more", state.wanted ? "Nothing that matches." : "Nothing was recorded within a second of it.")]));
    const { outage } = state;
    document.getElementById("moment-title").textContent = outage ? `${capital(outage.laneName)}: no answer for ${(outage.end - outage.start).toFixed(3)} s` : "What happened";
    const cause = outage ? `Because of: ${outage.cause}. ` : "";
    const unlisted = data.tracks[state.track].unlisted;
    document.getElementById("moment-note").textContent = `${cause}${AROUND} s before ${timeOfDay(state.time)} to ${AROUND} s after${outage ? " its end" : ""}; ${found.length} event${found.length === 1 ? "" : "s"}${unlisted ? ` (${unlisted} late ones of the run are left out)` : ""}.`;
    colour(outage ? Math.min(outage.end, outage.start + AROUND) : state.time);
  }
  const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

  // the fabric: its picture has styles of its own, so it lives in a shadow tree

  const figure = document.getElementById("fabric");
  const shapes = new Map(); // what a title begins with: a device, or the two ends of a cable
  let root = null;

  function load() {
    if (!data.picture) return;
    figure.hidden = false;
    root = document.getElementById("picture").attachShadow({ mode: "open" });
    const parsed = new DOMParser().parseFromString(data.picture, "image/svg+xml").documentElement;
    parsed.removeAttribute("width");
    parsed.removeAttribute("height");
    const style = element("style");
    style.textContent = `svg{display:block;width:100%;height:auto;max-height:560px}
      .is-off{fill:var(--off)!important;stroke:var(--off)!important;fill-opacity:.35;stroke-dasharray:3 3}
      .is-fault{stroke:var(--fault)!important;stroke-width:3!important}.is-unready{stroke:var(--warn)!important;stroke-width:3!important;stroke-dasharray:6 2}
      polyline.is-fault,polyline.is-session{stroke-width:3.5!important;opacity:1!important}
      .is-session{stroke:var(--bad)!important;stroke-dasharray:5 3}.cross{stroke:var(--bad);stroke-width:2.5;fill:none}`;
    root.append(style, parsed);
    for (const title of root.querySelectorAll("rect > title, polyline > title")) {
      const first = title.textContent.split("\n")[0];
      const key = title.parentNode.tagName === "rect" ? first.split(":")[0] : first;
      if (!shapes.has(key)) shapes.set(key, []);
      shapes.get(key).push(title.parentNode);
    }
  }

  function colour(time) {
    document.getElementById("fabric-title").textContent = `The fabric at ${timeOfDay(time)}`;
    const now = data.tracks[state.track].conditions.filter(([start, end]) => start <= time && time <= end);
    const told = now.map(([, , what, text]) => element("li", what, text));
    document.getElementById("conditions").replaceChildren(...(told.length ? told : [element("li", "none", "nothing is known to be broken")]));
    if (!root) return;
    for (const shape of root.querySelectorAll("[class*='is-']")) shape.classList.remove("is-off", "is-fault", "is-session", "is-unready");
    for (const cross of root.querySelectorAll(".cross")) cross.remove();
    for (const [, , what, text, devices] of now) {
      const cables = [...shapes.keys()].filter((key) => key.includes(" – ") && isBroken(key, what, text, devices));
      for (const key of cables) shapes.get(key).forEach((shape) => shape.classList.add(what === "session" ? "is-session" : "is-fault"));
      if (what !== "session" && !cables.length) for (const device of devices) mark(device, what);
    }
  }

  // a cable is broken if what is told names both its ends, or one end with its interface
  function isBroken(key, what, text, devices) {
    const ends = key.split(" – "), names = ends.map((end) => end.split(" ")[0]);
    if (ends.some((end) => end.includes(" ") && text.includes(end))) return true;
    return (what === "session" || devices.length === 2) && names.every((name) => devices.includes(name));
  }

  function mark(device, what) {
    for (const shape of shapes.get(device) || []) {
      shape.classList.add(`is-${what}`);
      if (what !== "off" || shape.tagName !== "rect") continue;
      const { x, y, width, height } = shape.getBBox();
      const cross = document.createElementNS("http://www.w3.org/2000/svg", "path");
      const size = Math.min(7, height / 4), right = x + width - size - 5, top = y + size + 4;
      cross.setAttribute("class", "cross");
      cross.setAttribute("d", `M${right - size} ${top - size}l${2 * size} ${2 * size}m0 ${-2 * size}l${-2 * size} ${2 * size}`);
      root.querySelector("svg").append(cross);
    }
  }

  document.addEventListener("vdc:moment", ({ detail }) => {
    Object.assign(state, { track: detail.track, time: detail.time, outage: detail.outage && { ...detail.outage, laneName: detail.lane } });
    show();
  });
  document.addEventListener("vdc:filter", ({ detail }) => {
    state.wanted = detail;
    if (state.time !== null) show();
  });
  list.addEventListener("click", (event) => {
    const line = event.target.closest("li[data-time]");
    if (!line) return;
    for (const other of list.querySelectorAll(".now")) other.classList.remove("now");
    line.classList.add("now");
    colour(Number(line.dataset.time));
    document.dispatchEvent(new CustomEvent("vdc:event", { detail: Number(line.dataset.time) }));
  });
  load();
  if (data.tracks.length) colour(0);
})();
