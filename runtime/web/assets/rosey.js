// What the pages do beyond htmx. All of it is an addition: without scripts the pages show the same, and stay as they are.
(() => {
  "use strict";

  // Times are shown in the reader's own zone.
  const formats = {
    day: new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric", hour: "numeric", minute: "2-digit" }),
    year: new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" }), // of an earlier year
    clock: new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" }), // all as wide
    date: new Intl.DateTimeFormat(undefined, { dateStyle: "medium" }),
  };
  const full = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });
  function showTimes(root) {
    for (const element of root.querySelectorAll("time[data-time]:not([data-shown])")) {
      const at = new Date(element.dateTime);
      if (isNaN(at)) continue;
      const isEarlier = element.dataset.time === "day" && at.getFullYear() !== new Date().getFullYear();
      element.textContent = formats[isEarlier ? "year" : element.dataset.time].format(at);
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
  document.body.addEventListener("htmx:afterSwap", (event) => {
    const id = event.detail.target.id;
    if (id === "lines") document.getElementById("new").replaceChildren();
  });
  new MutationObserver((changes) => {
    for (const change of changes) {
      // Text alone is what this script writes, and each of its changes would come here again.
      if (![...change.addedNodes].some((node) => node.nodeType === Node.ELEMENT_NODE)) continue;
      showTimes(change.target);
      showDays(change.target);
      if (chat && chat.contains(change.target)) {
        chatChanged(change.target.id === "new");
        if (change.target.id === "new") for (const node of change.addedNodes) node.classList?.add("new");
      }
    }
  }).observe(document.body, { childList: true, subtree: true });
  document.body.addEventListener("htmx:afterRequest", (event) => {
    const form = document.getElementById("say");
    if (form && event.detail.elt === form && event.detail.successful && !document.querySelector("#mine [data-refused]")) form.reset();
  });

  // It says so when nothing is live: the stream broke, so nobody can tell what the server would say.
  const state = document.getElementById("state");
  let brokenSince = null;
  document.body.addEventListener("htmx:sseError", () => {
    if (!state || brokenSince) return;
    brokenSince = new Date();
    const notice = document.createElement("p");
    notice.className = "notice";
    notice.textContent = "Not live since " + formats.clock.format(brokenSince) +
      ": the page has lost its connection. It comes back by itself.";
    state.replaceChildren(notice);
    document.querySelectorAll(".live").forEach((mark) => { mark.classList.add("off"); mark.textContent = "not live"; });
    document.querySelectorAll("progress[data-position]").forEach((bar) => { bar.dataset.paused = ""; });
  });
  document.body.addEventListener("htmx:sseOpen", () => { brokenSince = null; }); // the server sends everything again

  // Charts: {"x": [seconds], "series": [{"label", "values", "kind": "line" | "bars"}], "marks": [{"at", "label"}]}.
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const charts = new Map();
  function draw(element, data) {
    charts.get(element)?.destroy();
    element.replaceChildren();
    if (!data.x || !data.x.length) { element.textContent = "Nothing to show yet."; element.classList.add("quiet"); return; }
    const axis = { stroke: colour("--quiet"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "12px system-ui" };
    const marks = data.marks || [];
    const series = data.series.map((one, i) => {
      const stroke = colour("--chart-" + (i % 2 + 1));
      return {
        label: one.label, stroke, width: 2, fill: i === 0 ? stroke + "22" : undefined, points: { show: data.x.length < 3 },
        spanGaps: false, paths: one.kind === "bars" ? uPlot.paths.bars({ size: [0.8, 40] }) : undefined,
      };
    });
    charts.set(element, new uPlot({
      width: element.clientWidth, height: 200, series: [{ label: "Time" }, ...series],
      axes: [axis, { ...axis, size: 40, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000] }],
      scales: { y: { range: (_, __, max) => [0, Math.max(4, max * 1.1)] } },
      cursor: { drag: { x: false, y: false } },
      hooks: { draw: [(plot) => {
        const ctx = plot.ctx;
        ctx.save();
        ctx.strokeStyle = colour("--quiet");
        ctx.globalAlpha = 0.5;
        ctx.setLineDash([3, 4]);
        for (const mark of marks) {
          const x = Math.round(plot.valToPos(mark.at, "x", true));
          ctx.beginPath(); ctx.moveTo(x, plot.bbox.top); ctx.lineTo(x, plot.bbox.top + plot.bbox.height); ctx.stroke();
        }
        ctx.restore();
      }] },
    }, [data.x, ...data.series.map((one) => one.values)], element));
  }
  async function loadCharts() {
    for (const element of document.querySelectorAll("[data-chart]")) {
      if (typeof uPlot === "undefined") return;
      try {
        const response = await fetch(element.dataset.chart, { headers: { Accept: "application/json" } });
        if (!response.ok) throw new Error(await response.text());
        const data = await response.json();
        draw(element, data);
        element._data = data;
      } catch (error) {
        element.textContent = "The chart cannot be shown at the moment.";
        element.classList.add("quiet");
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
