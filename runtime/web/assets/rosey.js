// What the pages do beyond htmx. All of it is an addition: without scripts the pages show the same, and stay as they are.
(() => {
  "use strict";

  // Times are shown in the reader's own zone, from 00:00 to 23:59 as CyTube shows them, so that all are as wide.
  const format = (options) => new Intl.DateTimeFormat(undefined, { hourCycle: "h23", ...options });
  const timeOfDay = { hour: "2-digit", minute: "2-digit" };
  const formats = {
    day: format({ month: "short", day: "numeric", ...timeOfDay }),
    year: format({ dateStyle: "medium", timeStyle: "short" }), // of an earlier year
    clock: format(timeOfDay),
    date: format({ dateStyle: "medium" }),
    short: format({ month: "short", day: "numeric" }),
    yearOnly: format({ year: "numeric" }),
  };
  const today = (at) => at.toDateString() === new Date().toDateString();
  function formatOf(kind, at) {
    if (kind === "since") return today(at) ? formats.clock : formats.day;
    if (kind === "day" && at.getFullYear() !== new Date().getFullYear()) return formats.year;
    return formats[kind];
  }
  const full = format({ dateStyle: "full", timeStyle: "medium" });
  function showTimes(root) {
    for (const element of root.querySelectorAll("time[data-time]:not([data-shown])")) {
      const at = new Date(element.dateTime);
      if (isNaN(at)) continue;
      element.textContent = formatOf(element.dataset.time, at).format(at);
      element.title = full.format(at);
      element.dataset.shown = "";
    }
  }

  // A day begins and ends in the reader's zone, and between the lines of two days its date is shown.
  const zone = -new Date().getTimezoneOffset();
  for (const input of document.querySelectorAll("[data-zone]")) if (!input.value) input.value = zone;
  for (const link of document.querySelectorAll("a[data-zoned]")) link.search = "?zone=" + zone;
  function showDays(root) {
    for (const list of root.querySelectorAll("[data-days]:not([data-dated])")) {
      list.dataset.dated = "";
      let before = "";
      for (const item of [...list.children]) {
        const time = item.querySelector("time");
        const date = time ? formats.date.format(new Date(time.dateTime)) : before;
        if (date !== before && (before || !document.getElementById("chat"))) {
          const heading = document.createElement("li");
          heading.className = "day";
          heading.textContent = date;
          item.before(heading);
        }
        before = date;
      }
    }
  }

  // The position of what plays moves by one each second. The base is when the page got it.
  function clock(seconds) {
    const total = Math.max(0, Math.floor(seconds));
    const two = (n) => String(n).padStart(2, "0");
    const hours = Math.floor(total / 3600);
    return (hours ? hours + ":" + two(Math.floor(total / 60) % 60) : Math.floor(total / 60)) + ":" + two(total % 60);
  }
  function movePositions() {
    for (const bar of document.querySelectorAll("progress[data-position]")) {
      if (bar.dataset.from === undefined) bar.dataset.from = performance.now();
      if (bar.dataset.paused !== undefined) continue;
      const passed = (performance.now() - Number(bar.dataset.from)) / 1000;
      const position = Math.min(Number(bar.dataset.position) + passed, Number(bar.dataset.seconds));
      bar.value = position;
      const shown = bar.parentElement.querySelector("[data-clock]");
      const text = clock(position);
      if (shown && shown.textContent !== text) shown.textContent = text;
    }
  }

  // The chat stays at its end, unless the reader has scrolled up.
  const chat = document.getElementById("chat");
  const jump = document.getElementById("jump");
  const maxLines = 500;
  let atEnd = true;
  function toEnd() { chat.scrollTop = chat.scrollHeight; }
  function chatChanged(isNew) {
    const fresh = document.getElementById("new");
    while (fresh.children.length > maxLines) fresh.firstElementChild.remove();
    if (atEnd) toEnd();
    else if (isNew) jump.hidden = false;
  }
  if (chat) {
    toEnd();
    chat.addEventListener("scroll", () => {
      atEnd = chat.scrollHeight - chat.scrollTop - chat.clientHeight < 40;
      if (atEnd) jump.hidden = true;
    });
    jump.addEventListener("click", () => { atEnd = true; jump.hidden = true; toEnd(); chat.focus(); });
    new ResizeObserver(() => { if (atEnd) toEnd(); }).observe(chat);
  }

  // What came by htmx.
  new MutationObserver((changes) => {
    for (const change of changes) {
      // Text alone is what this script writes, and each of its changes would come here again.
      if (![...change.addedNodes].some((node) => node.nodeType === Node.ELEMENT_NODE)) continue;
      showTimes(change.target);
      showDays(change.target);
      if (change.target.id === "lines") document.getElementById("new").replaceChildren(); // they are among these
      if (chat && chat.contains(change.target)) {
        chatChanged(change.target.id === "new");
        if (change.target.id === "new") for (const node of change.addedNodes) node.classList?.add("new");
      }
    }
  }).observe(document.body, { childList: true, subtree: true });

  // Sending a line. A line that is sent again because no answer came has the ID of the first time, so it is said once.
  const form = document.getElementById("say");
  const text = document.getElementById("text");
  const unanswered = { text: "", id: "" };
  document.body.addEventListener("htmx:configRequest", (event) => {
    if (event.detail.elt !== form) return;
    if (unanswered.text !== text.value) {
      unanswered.text = text.value;
      unanswered.id = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    }
    event.detail.parameters.id = unanswered.id;
  });
  document.body.addEventListener("htmx:afterRequest", (event) => {
    if (!form || event.detail.elt !== form || !event.detail.successful) return;
    unanswered.text = "";
    if (!document.querySelector("#mine [data-refused]")) form.reset();
  });
  const element = (name, className, ...content) => {
    const made = document.createElement(name);
    made.className = className;
    made.append(...content);
    return made;
  };
  const logIn = () => {
    const link = element("a", "", "Log in again");
    link.href = document.querySelector(".channel a").href + "login";
    return link;
  };
  // What has become of the lines is asked for until it is known. htmx shows the answers of requests that succeeded alone.
  function notAnswered(event, why) {
    const from = event.detail.elt;
    if (from === form) {
      const problem = element("p", "problem", ...why);
      problem.setAttribute("role", "alert");
      document.getElementById("mine").replaceChildren(problem);
    } else if (from.classList.contains("mine") && event.detail.xhr.status !== 401) {
      setTimeout(() => htmx.trigger(from, "again"), 3000);
    }
  }
  document.body.addEventListener("htmx:sendError", (event) =>
    notAnswered(event, ["This page cannot reach its server, so nobody knows whether the line was sent. Send it again in a moment: it is said once."]));
  document.body.addEventListener("htmx:responseError", (event) => {
    const ended = event.detail.xhr.status === 401;
    notAnswered(event, ended ? ["The line was not sent: your login has ended. ", logIn(), "."] :
      ["The line was not sent. " + event.detail.xhr.responseText.slice(0, 300)]);
  });

  // It says so when nothing is live: the stream broke, so nobody can tell what the server would say.
  const state = document.getElementById("state");
  const now = document.getElementById("now");
  let brokenSince = null;
  let source = null;
  let heard = 0;
  const hears = () => { heard = Date.now(); };
  if (now) htmx.createEventSource = (url) => {
    source = new EventSource(url);
    hears();
    // After an error, the browser tries again by itself, or the extension does.
    for (const name of ["open", "error", "alive", "state", "playing", "people", "lines", "line"]) source.addEventListener(name, hears);
    return source;
  };
  async function loginEnded() {
    try {
      return (await fetch(now.getAttribute("sse-connect"), { method: "HEAD" })).status === 401;
    } catch {
      return false;
    }
  }
  document.body.addEventListener("htmx:sseError", async () => {
    if (!state || brokenSince) return;
    brokenSince = new Date();
    const since = "Not live since " + formats.clock.format(brokenSince) + ": ";
    state.replaceChildren(element("p", "notice", since + "the page has lost its connection. It comes back by itself."));
    document.querySelectorAll(".live").forEach((mark) => { mark.classList.add("off"); mark.textContent = "not live"; });
    document.querySelectorAll("progress[data-position]").forEach((bar) => { bar.dataset.paused = ""; });
    if (await loginEnded() && brokenSince) state.replaceChildren(element("p", "notice", since + "your login has ended. ", logIn(), "."));
  });
  document.body.addEventListener("htmx:sseOpen", () => { brokenSince = null; }); // the server sends everything again
  // A connection may be dead without a word: a computer slept, or a network is gone. The extension of htmx opens another
  // stream when one that is closed reports an error.
  setInterval(() => {
    if (!source || source.readyState === EventSource.CLOSED) return;
    if (Date.now() - heard < 2500 * Number(now.dataset.heartbeat)) return;
    source.close();
    source.onerror(new Event("error"));
  }, 1000);

  // A page that lacks something because the database is away is loaded again when it is back.
  async function loadAgain() {
    try {
      const answer = await fetch(location.href, { method: "HEAD" });
      if (answer.status !== 503) { location.reload(); return; }
    } catch { /* the server is away too */ }
    setTimeout(loadAgain, 3000);
  }
  if (document.querySelector("[data-again]")) setTimeout(loadAgain, 3000);

  // Charts: {"x": [seconds], "series": [{"label", "values", "kind": "line" | "bars"}], "marks": [{"at", "label", "kind": "film" | "join"}]}.
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const charts = new Map();
  const dayInSeconds = 24 * 60 * 60;
  // Below a chart are times with the date of each day's first one, or dates with the year of each year's first one.
  function timesBelow(plot, splits, axis, space, step) {
    const [upper, lower] = step < dayInSeconds ? [formats.clock, formats.short] : [formats.short, formats.yearOnly];
    let before = "";
    return splits.map((seconds) => {
      const at = new Date(seconds * 1000);
      const below = lower.format(at);
      const label = upper.format(at) + (below === before ? "" : "\n" + below);
      before = below;
      return label;
    });
  }
  function draw(element, data) {
    charts.get(element)?.destroy();
    element.replaceChildren();
    if (!data.x || !data.x.length) { element.textContent = "Nothing to show yet."; element.classList.add("quiet"); return; }
    const axis = { stroke: colour("--quiet"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "12px system-ui" };
    const marks = data.marks || [];
    const ticks = { film: { dash: [3, 4], part: 1, colour: "--quiet" }, join: { dash: [], part: 0.06, colour: "--good" } };
    const series = data.series.map((one, i) => {
      const stroke = colour("--chart-" + (i % 2 + 1));
      return {
        label: one.label, stroke, width: 2, fill: one.kind === "bars" ? stroke : i === 0 ? stroke + "22" : undefined, points: { show: data.x.length < 3 },
        spanGaps: false, paths: one.kind === "bars" ? uPlot.paths.bars({ size: [0.8, 40] }) : undefined,
      };
    });
    charts.set(element, new uPlot({
      width: element.clientWidth, height: 200, series: [{ label: "Time" }, ...series],
      axes: [{ ...axis, values: timesBelow }, { ...axis, size: 40, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000] }],
      scales: { y: { range: (_, __, max) => [0, Math.max(4, max * 1.1)] } },
      cursor: { drag: { x: false, y: false } },
      legend: { live: false, markers: { fill: (_, i) => data.series[i - 1] && colour("--chart-" + ((i - 1) % 2 + 1)) } },
      hooks: { draw: [(plot) => {
        const ctx = plot.ctx;
        ctx.save();
        ctx.globalAlpha = 0.6;
        for (const mark of marks) {
          const tick = ticks[mark.kind];
          const x = Math.round(plot.valToPos(mark.at, "x", true));
          const bottom = plot.bbox.top + plot.bbox.height;
          ctx.strokeStyle = colour(tick.colour);
          ctx.setLineDash(tick.dash);
          ctx.beginPath(); ctx.moveTo(x, bottom - tick.part * plot.bbox.height); ctx.lineTo(x, bottom); ctx.stroke();
        }
        ctx.restore();
      }], setCursor: [(plot) => showPoint(element, plot, marks)] },
    }, [data.x, ...data.series.map((one) => one.values)], element));
  }
  // Below the chart is what it shows where the pointer is: the values, and the marks nearby.
  const near = 6;
  const maxSaid = 6;
  function showPoint(element, plot, marks) {
    const below = element.parentElement.querySelector("[data-point]");
    if (!below) return;
    const at = plot.cursor.idx;
    if (at == null || plot.cursor.left < 0) { below.textContent = below.dataset.point; return; }
    const values = plot.series.slice(1).map((one, i) => plot.data[i + 1][at] + " " + one.label);
    const here = marks.filter((mark) => Math.abs(plot.valToPos(mark.at, "x") - plot.cursor.left) <= near);
    const said = here.slice(0, maxSaid).map((mark) => (mark.kind === "join" ? mark.label + " came" : mark.label));
    const when = new Date(plot.data[0][at] * 1000);
    below.textContent = [formatOf(element.dataset.time, when).format(when), values.join(", "), ...said].join(" · ");
  }
  async function loadCharts() {
    for (const element of document.querySelectorAll("[data-chart]:not([data-drawn])")) {
      if (typeof uPlot === "undefined") return;
      try {
        const response = await fetch(element.dataset.chart, { headers: { Accept: "application/json" } });
        if (!response.ok) throw new Error(await response.text());
        const data = await response.json();
        element.dataset.drawn = "";
        element.classList.remove("quiet");
        draw(element, data);
        element._data = data;
      } catch (error) {
        element.textContent = "The chart cannot be shown at the moment.";
        element.classList.add("quiet");
        setTimeout(loadCharts, 10000);
      }
    }
  }
  const redraw = () => { for (const element of charts.keys()) if (element._data) draw(element, element._data); };
  let resizing = 0;
  window.addEventListener("resize", () => { clearTimeout(resizing); resizing = setTimeout(redraw, 150); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);

  // On a narrow screen the navigation scrolls.
  document.querySelector("nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

  showTimes(document);
  showDays(document);
  movePositions();
  setInterval(movePositions, 500);
  loadCharts();
})();
