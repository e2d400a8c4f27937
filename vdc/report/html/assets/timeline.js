// The time line: lanes that zoom. It tells the details by "vdc:moment" which moment or outage was chosen.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const home = document.getElementById("lanes");
  if (data.wall) document.getElementById("when").textContent = new Date(data.wall * 1000).toLocaleString();
  if (!home) return;

  const BAND = 12, TRACE = 22, LINE = 34, MARKS = 10, LEAST = 0.01; // pixels; seconds shown at least
  const TITLES = { scenarios: "Scenarios", steps: "Steps", faults: "Faults", probes: "Probes", routing: "BGP and BFD", cluster: "Cluster", nodes: "Nodes", load: "Host load" };
  const svgOf = (width, height, inside) => `<svg viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">${inside}</svg>`;
  const byId = (id) => document.getElementById(id);
  const escaped = (text) => text.replace(/[&<>"]/g, (letter) => `&#${letter.charCodeAt(0)};`);

  const lanes = data.tracks.flatMap((track, at) => track.lanes.map((lane, number) => ({ ...lane, track: at, number, own: track.name })));
  const outages = data.tracks
    .flatMap((track, at) => track.outages.map(([start, end, lane, cause], number) => ({ start, end, lane, cause, track: at, number })))
    .sort((a, b) => a.start - b.start);
  const state = { from: 0, to: Math.max(data.end, LEAST), groups: new Set(Object.keys(TITLES)), wanted: "", chosen: null, moment: null };
  const whole = state.to;
  let width = 0; // of the lanes' pictures, in pixels
  let drag = null;

  const x = (time) => ((time - state.from) / (state.to - state.from)) * width;
  const timeAt = (clientX) => {
    const box = home.querySelector(".row.head svg").getBoundingClientRect();
    return state.from + ((clientX - box.left) / box.width) * (state.to - state.from);
  };

  // what is drawn

  function shown() {
    const wanted = state.wanted;
    const says = (lane) => lane.name.toLowerCase().includes(wanted) || TITLES[lane.group].toLowerCase().includes(wanted)
      || (lane.spans || []).some((span) => span[4].toLowerCase().includes(wanted)) || (lane.marks || []).some((mark) => mark[2].toLowerCase().includes(wanted));
    return lanes.filter((lane) => state.groups.has(lane.group) && (!wanted || says(lane)));
  }

  function draw() {
    const narrow = matchMedia("(max-width: 760px)").matches;
    width = Math.max(120, home.clientWidth - (narrow ? 0 : 184));
    let last = "";
    const rows = shown().map((lane) => {
      const first = lane.group + lane.track !== last;
      last = lane.group + lane.track;
      const group = first && lane.name !== lane.group ? `<em class="group">${TITLES[lane.group]}</em>` : "";
      return `<div class="row ${lane.group}${first ? " first" : ""}"><div class="name">${group}${nameOf(lane)}</div>${picture(lane)}</div>`;
    });
    const axis = `<div class="row head"><div class="name"></div>${svgOf(width, 22, axisOf())}</div>`;
    home.innerHTML = axis + rows.join("") + '<div class="cursor" hidden></div><div class="drag" hidden></div>';
    if (!rows.length) home.insertAdjacentHTML("beforeend", '<p class="nothing">No lane matches.</p>');
    byId("range").textContent = `${clock(state.from)} – ${clock(state.to)} of ${clock(whole)}`;
    drawWindow();
    drawCursor();
  }

  function nameOf(lane) {
    const own = lane.own ? `<small>${escaped(lane.own)}</small>` : "";
    const note = lane.note ? `<small>${escaped(lane.note)}</small>` : "";
    const name = lane.name === lane.group ? TITLES[lane.group] : lane.name;
    return `<span>${escaped(name)}</span>${own}${note}`;
  }

  function picture(lane) {
    const rows = 1 + Math.max(0, ...(lane.spans || []).map((span) => span[2]));
    const marks = lane.marks ? MARKS : 0;
    const trace = lane.line ? (lane.spans ? TRACE : LINE) : 0;
    const bands = lane.spans ? rows * (BAND + 2) : 0;
    const tall = ["scenarios", "faults", "steps"].includes(lane.group) ? 4 : 0;
    const height = Math.max(20, trace + marks + bands + (lane.spans ? rows * tall : 0) + 6);
    let inside = grid(height);
    if (lane.line) inside += traceOf(lane.line, 3, trace - 2);
    if (lane.spans) inside += spansOf(lane, 3 + trace + marks, BAND + tall);
    if (lane.marks) inside += lane.marks.map((mark) => markOf(mark, 3 + trace + MARKS / 2)).join("");
    return svgOf(width, height, inside);
  }

  function spansOf(lane, top, tall) {
    const drawn = [];
    const last = []; // by row: the latest small span of a tone, into which the next one falls
    for (const [start, end, row, tone, label] of lane.spans) {
      if (end < state.from || start > state.to) continue;
      const left = Math.max(-2, x(start)), right = Math.min(width + 2, x(end));
      const before = last[row];
      if (tone !== "bad" && before && before.tone === tone && right - before.left < 2) {
        before.count += 1;
        continue;
      }
      last[row] = right - left < 2 ? { left, tone, count: 1 } : null;
      drawn.push(spanOf({ left, width: Math.max(tone === "bad" ? 3 : 1, right - left), top: top + row * (tall + 2), tall, tone, label, start, end }));
    }
    if (lane.group === "probes") outages.forEach((outage, at) => {
      if (outage.track === lane.track && outage.lane === lane.number && outage.end >= state.from && outage.start <= state.to) drawn.push(outageOf(outage, at, top, tall));
    });
    return drawn.join("");
  }

  function spanOf({ left, width: wide, top, tall, tone, label, start, end }) {
    const fits = wide > 46 && tone !== "good" ? `<text x="${(left < 0 ? 0 : left) + 5}" y="${top + tall / 2 + 4}">${escaped(cut(label, wide - 8))}</text>` : "";
    const tip = escaped(`${label} · ${clock(start)}, ${duration(end - start)}`);
    return `<g class="span ${tone}" data-tip="${tip}"><rect x="${left.toFixed(2)}" y="${top}" width="${wide.toFixed(2)}" height="${tall}" rx="2"/>${fits}</g>`;
  }

  function outageOf(outage, at, top, tall) {
    const left = Math.max(-2, x(outage.start)), wide = Math.max(3, Math.min(width + 2, x(outage.end)) - left);
    const said = escaped(`Outage of ${duration(outage.end - outage.start)}: ${outage.cause}, at ${clock(outage.start)}`);
    const tick = `M${(left + wide / 2 - 4).toFixed(1)} ${top - 7}h8l-4 6z`; // a shape beside the colour
    return `<g class="outage span bad${at === state.chosen ? " chosen" : ""}" data-outage="${at}" data-tip="${said}" tabindex="0" role="button" aria-label="${said}">`
      + `<rect x="${left.toFixed(2)}" y="${top}" width="${wide.toFixed(2)}" height="${tall}" rx="1"/><path d="${tick}"/></g>`;
  }

  function markOf([time, tone, label], y) {
    if (time < state.from || time > state.to) return "";
    const at = x(time).toFixed(1);
    return `<path class="dot ${tone}" d="M${at} ${y - 5}l5 5l-5 5l-5 -5z" data-tip="${escaped(`${label} · ${clock(time)}`)}"/>`;
  }

  // the highest value of each pixel; waits by their logarithm, since an outage is a thousand times as long as most
  function traceOf(line, top, tall) {
    const most = line.values.reduce((a, b) => Math.max(a, b || 0), line.unit === "%" ? 100 : 1);
    const place = line.unit === "ms" ? (value) => Math.log1p(value) / Math.log1p(most) : (value) => value / most;
    let path = "", open = false;
    for (let pixel = 0; pixel < width; pixel += 1) {
      const from = Math.floor((state.from + (pixel / width) * (state.to - state.from) - line.start) / line.step);
      const to = Math.max(from + 1, Math.floor((state.from + ((pixel + 1) / width) * (state.to - state.from) - line.start) / line.step));
      let value = null;
      for (let at = Math.max(0, from); at < Math.min(to, line.values.length); at += 1) {
        if (line.values[at] !== null && (value === null || line.values[at] > value)) value = line.values[at];
      }
      if (value === null) { open = false; continue; }
      path += `${open ? "L" : "M"}${pixel} ${(top + tall * (1 - place(value))).toFixed(1)}`;
      open = true;
    }
    return `<path class="trace" d="${path}"/>`;
  }

  function ticks() {
    const span = state.to - state.from;
    const steps = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200];
    const step = steps.find((each) => (each / span) * width >= 78) || span;
    const found = [];
    for (let at = Math.ceil(state.from / step - 1e-9); at * step <= state.to; at += 1) found.push(at * step);
    return { found, step };
  }

  const axisOf = () => {
    const { found, step } = ticks();
    const label = (time) => (x(time) < width - 30 ? `<text x="${(x(time) + 3).toFixed(1)}" y="15">${clock(time, step)}</text>` : "");
    return `<g class="axis">${found.map((time) => `<line x1="${x(time).toFixed(1)}" x2="${x(time).toFixed(1)}" y1="6" y2="22"/>${label(time)}`).join("")}</g>`;
  };
  const grid = (height) => ticks().found.map((time) => `<line class="grid" x1="${x(time).toFixed(1)}" x2="${x(time).toFixed(1)}" y1="0" y2="${height}"/>`).join("");

  function drawOverview() {
    const part = (time) => ((time / whole) * 1000).toFixed(2);
    const bar = (span, y, tall, least) => `<g class="span ${span[3]}"><rect x="${part(span[0])}" y="${y}" width="${Math.max(least, part(span[1]) - part(span[0]))}" height="${tall}"/></g>`;
    const of = (group) => lanes.filter((lane) => lane.group === group).flatMap((lane) => lane.spans || []);
    const inside = of("scenarios").map((span) => bar(span, 4, 9, 1)).join("") + of("faults").map((span) => bar(span, 15, 7, 1)).join("")
      + outages.map((each) => bar([each.start, each.end, 0, "bad"], 24, 10, 1.5)).join("");
    byId("overview").innerHTML = `<svg viewBox="0 0 1000 38" preserveAspectRatio="none">${inside}</svg><div class="window"></div>`;
  }

  function drawWindow() {
    const mark = byId("overview").querySelector(".window");
    mark.style.left = `${(state.from / whole) * 100}%`;
    mark.style.width = `${((state.to - state.from) / whole) * 100}%`;
  }

  function drawCursor() {
    const mark = home.querySelector(".cursor");
    mark.hidden = state.moment === null || state.moment < state.from || state.moment > state.to;
    if (!mark.hidden) mark.style.left = `${home.clientWidth - width + x(state.moment)}px`;
  }

  // where one looks

  function look(from, to) {
    const span = Math.min(whole, Math.max(LEAST, to - from));
    state.from = Math.max(0, Math.min(whole - span, (from + to - span) / 2));
    state.to = state.from + span;
    requestDraw();
  }
  const zoom = (factor, around = (state.from + state.to) / 2) => look(around - (around - state.from) * factor, around + (state.to - around) * factor);
  const move = (part) => look(state.from + part * (state.to - state.from), state.to + part * (state.to - state.from));

  let asked = false;
  function requestDraw() {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => { asked = false; draw(); });
  }

  function choose(at) {
    const outage = outages[at];
    if (!outage) return;
    state.chosen = at;
    state.moment = outage.start;
    if (outage.end < state.from || outage.start > state.to) {
      const span = Math.max(8, 3 * (outage.end - outage.start));
      look((outage.start + outage.end - span) / 2, (outage.start + outage.end + span) / 2);
    } else requestDraw();
    tellCount();
    document.dispatchEvent(new CustomEvent("vdc:moment", { detail: { track: outage.track, time: outage.start, outage, lane: data.tracks[outage.track].lanes[outage.lane].name } }));
  }

  function pick(time, track) {
    state.chosen = null;
    state.moment = time;
    requestDraw();
    tellCount();
    document.dispatchEvent(new CustomEvent("vdc:moment", { detail: { track, time, outage: null } }));
  }

  function tellCount() {
    byId("outage-count").textContent = !outages.length ? "no outage" : state.chosen === null ? `${outages.length} outage${outages.length > 1 ? "s" : ""}` : `outage ${state.chosen + 1} of ${outages.length}`;
    byId("previous").disabled = byId("next").disabled = !outages.length;
  }
  const step = (by) => choose(state.chosen === null ? (by > 0 ? 0 : outages.length - 1) : (state.chosen + by + outages.length) % outages.length);

  // texts

  function clock(time, step = 0.001) {
    const digits = step >= 1 ? 0 : step >= 0.1 ? 1 : step >= 0.01 ? 2 : 3;
    const minutes = Math.floor(time / 60 + 1e-9);
    const seconds = Math.max(0, time - 60 * minutes).toFixed(digits).padStart(digits ? digits + 3 : 2, "0");
    return `${minutes}:${seconds}`;
  }
  const duration = (seconds) => (seconds < 0.1 ? `${(1000 * seconds).toFixed(1)} ms` : seconds < 10 ? `${seconds.toFixed(3)} s` : `${seconds.toFixed(1)} s`);
  const cut = (label, pixels) => (label.length * 5.6 <= pixels ? label : `${label.slice(0, Math.max(1, Math.floor(pixels / 5.6) - 1))}…`);

  // what people do

  home.addEventListener("pointerdown", (event) => {
    if (event.button || !event.target.closest(".row svg")) return;
    drag = { from: event.clientX, time: timeAt(event.clientX), moved: false };
  });
  addEventListener("pointermove", (event) => {
    if (!drag) return;
    drag.moved = drag.moved || Math.abs(event.clientX - drag.from) > 4;
    const mark = home.querySelector(".drag"), box = home.getBoundingClientRect();
    mark.hidden = !drag.moved;
    mark.style.left = `${Math.min(event.clientX, drag.from) - box.left}px`;
    mark.style.width = `${Math.abs(event.clientX - drag.from)}px`;
  });
  addEventListener("pointerup", (event) => {
    if (!drag) return;
    const { time, moved } = drag;
    drag = null;
    if (moved) {
      look(Math.min(time, timeAt(event.clientX)), Math.max(time, timeAt(event.clientX)));
      return;
    }
    const outage = event.target.closest("[data-outage]");
    if (outage) choose(Number(outage.dataset.outage));
    else pick(time, trackOf(event.target));
  });
  addEventListener("pointercancel", () => { drag = null; });
  const trackOf = (target) => {
    const at = [...home.querySelectorAll(".row:not(.head)")].indexOf(target.closest(".row"));
    return at < 0 ? 0 : shown()[at].track;
  };
  home.addEventListener("dblclick", () => look(0, whole));
  home.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.shiftKey) return; // the page scrolls
    event.preventDefault();
    if (event.ctrlKey) zoom(event.deltaY > 0 ? 1.25 : 0.8, timeAt(event.clientX));
    else move(Math.sign(event.deltaY || event.deltaX) * 0.15);
  }, { passive: false });

  const KEYS = { "+": () => zoom(0.5), "=": () => zoom(0.5), "-": () => zoom(2), 0: () => look(0, whole), ArrowLeft: () => move(-0.25), ArrowRight: () => move(0.25), n: () => step(1), p: () => step(-1) };
  home.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const outage = event.target.closest("[data-outage]");
    const act = outage && ["Enter", " "].includes(event.key) ? () => choose(Number(outage.dataset.outage)) : KEYS[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });

  byId("zoom-in").addEventListener("click", () => zoom(0.5));
  byId("zoom-out").addEventListener("click", () => zoom(2));
  byId("zoom-all").addEventListener("click", () => look(0, whole));
  byId("next").addEventListener("click", () => step(1));
  byId("previous").addEventListener("click", () => step(-1));

  const overview = byId("overview");
  const centre = (event) => {
    const box = overview.getBoundingClientRect();
    const middle = ((event.clientX - box.left) / box.width) * whole, half = (state.to - state.from) / 2;
    look(middle - half, middle + half);
  };
  overview.addEventListener("pointerdown", (event) => { overview.setPointerCapture(event.pointerId); centre(event); });
  overview.addEventListener("pointermove", (event) => { if (overview.hasPointerCapture(event.pointerId)) centre(event); });

  byId("filter").addEventListener("input", (event) => {
    state.wanted = event.target.value.trim().toLowerCase();
    document.dispatchEvent(new CustomEvent("vdc:filter", { detail: state.wanted }));
    requestDraw();
  });
  const groups = Object.keys(TITLES).filter((group) => lanes.some((lane) => lane.group === group));
  byId("groups").innerHTML = groups.map((group) => `<button type="button" class="chip" data-group="${group}" aria-pressed="true">${TITLES[group]}</button>`).join("");
  byId("groups").addEventListener("click", (event) => {
    const chip = event.target.closest("[data-group]");
    if (!chip) return;
    const on = chip.ariaPressed !== "true";
    chip.ariaPressed = String(on);
    state.groups[on ? "add" : "delete"](chip.dataset.group);
    requestDraw();
  });

  const tip = byId("tip");
  home.addEventListener("pointermove", (event) => {
    const told = event.target.closest("[data-tip]");
    tip.hidden = !told || Boolean(drag && drag.moved);
    if (tip.hidden) return;
    tip.textContent = told.dataset.tip;
    tip.style.left = `${Math.max(4, Math.min(event.clientX + 12, innerWidth - tip.offsetWidth - 8))}px`;
    tip.style.top = `${event.clientY + 16 + tip.offsetHeight > innerHeight ? event.clientY - tip.offsetHeight - 10 : event.clientY + 16}px`;
  });
  home.addEventListener("pointerleave", () => { tip.hidden = true; });

  document.addEventListener("vdc:scenario", (event) => {
    const track = data.tracks.findIndex((each) => event.detail in each.scenarios);
    if (track < 0) return;
    const [start, end] = data.tracks[track].scenarios[event.detail];
    look(start - 0.05 * (end - start), end + 0.05 * (end - start));
    byId("timeline").scrollIntoView({ behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
    pick(start, track);
  });
  document.addEventListener("vdc:event", (event) => {
    state.moment = event.detail;
    drawCursor();
  });

  new ResizeObserver(() => { if (Math.abs(home.clientWidth - width) > 0) requestDraw(); }).observe(home.parentElement);
  drawOverview();
  draw();
  tellCount();
  const lasted = (outage) => outage.end - outage.start;
  const worst = outages.reduce((most, outage, at) => (most < 0 || lasted(outage) > lasted(outages[most]) ? at : most), -1);
  if (worst >= 0) choose(worst);
  document.documentElement.dataset.ready = performance.now().toFixed(0); // for tests: milliseconds since it was opened
})();
