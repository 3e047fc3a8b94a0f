// Keeps the open page current, and draws lines that can be read point by point. Everything is there without it, too.
"use strict";

(() => {
  // Replaces each marked part of the page by the one of a page that was just asked for.
  const renew = (text) => {
    const fresh = new DOMParser().parseFromString(text, "text/html");
    for (const part of document.querySelectorAll("[data-live]")) {
      const name = part.dataset.live;
      const other = fresh.querySelector(`[data-live="${name}"]`);
      // What somebody is reading with the keyboard keeps its focus.
      if (!other || other.innerHTML === part.innerHTML) continue;
      const focused = part.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
      part.replaceChildren(...other.childNodes);
      part.className = other.className;
      if (focused) part.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus();
    }
  };

  let asking = null;
  const ask = async () => {
    asking?.abort();
    const mine = (asking = new AbortController());
    try {
      const answer = await fetch(location.href, { signal: mine.signal, headers: { accept: "text/html" } });
      if (answer.ok) renew(await answer.text());
      document.body.classList.toggle("stale", !answer.ok);
    } catch (error) {
      if (error.name !== "AbortError") document.body.classList.add("stale");
    }
  };

  // A page with an answer to a question stays as it is.
  if (document.querySelector("[data-live]:not(#clock)")) {
    const news = new EventSource("/live");
    news.onmessage = () => document.hidden || ask();
    news.onerror = () => document.body.classList.add("stale");
    document.addEventListener("visibilitychange", () => document.hidden || ask());
  }

  // The search looks while somebody types.
  const search = document.querySelector("form.search:not(.wide) input");
  let typed = 0;
  search?.addEventListener("input", () => {
    clearTimeout(typed);
    typed = setTimeout(() => {
      const address = new URL(location.href);
      address.search = new URLSearchParams({ q: search.value }).toString();
      history.replaceState(null, "", address);
      ask();
    }, 150);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || /^(INPUT|TEXTAREA)$/.test(event.target.tagName)) return;
    const input = document.querySelector("form.search input");
    if (!input) return;
    event.preventDefault();
    input.focus();
    input.select();
  });

  // Lines.
  const units = {
    seconds: (value) => {
      if (value == null) return "–";
      if (value < 60) return `${value}s`;
      if (value < 3600) return `${Math.floor(value / 60)}m${String(value % 60).padStart(2, "0")}s`;
      if (value < 86400) return `${Math.floor(value / 3600)}h${String(Math.floor((value % 3600) / 60)).padStart(2, "0")}m`;
      return `${Math.floor(value / 86400)}d${String(Math.floor((value % 86400) / 3600)).padStart(2, "0")}h`;
    },
    events: (value) => (value == null ? "–" : value.toLocaleString("en").replaceAll(",", "\u202f")),
  };
  const colour = (name) => getComputedStyle(document.body).getPropertyValue(name).trim();

  const draw = async (figure) => {
    const answer = await fetch(figure.dataset.source);
    if (!answer.ok) return;
    const columns = await answer.json();
    if (columns[0].length < 2) return;
    // Minutes without a sample break the line.
    const [moments, values] = [[], []];
    columns[0].forEach((moment, place) => {
      const last = moments[moments.length - 1];
      if (last !== undefined && moment - last > 120) {
        moments.push(last + 60);
        values.push(null);
      }
      moments.push(moment);
      values.push(columns[Number(figure.dataset.column)][place]);
    });
    const told = units[figure.dataset.unit];
    const axis = { stroke: colour("--muted"), grid: { stroke: colour("--rule"), width: 1 }, ticks: { show: false }, font: "12px system-ui" };
    const size = () => ({ width: figure.clientWidth, height: 190 });
    figure.querySelector("svg")?.remove();
    figure.querySelector(".uplot")?.remove();
    const plot = new uPlot(
      {
        ...size(),
        tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
        cursor: { y: false },
        legend: { live: true },
        scales: { y: { range: (_, least, most) => [0, Math.max(most, 1)] } },
        axes: [{ ...axis, values: (_, splits) => splits.map((at) => new Date(at * 1000).toISOString().slice(11, 16)) }, { ...axis, size: 64, values: (_, splits) => splits.map(told) }],
        series: [
          { label: "UTC", value: (_, at) => (at == null ? "–" : new Date(at * 1000).toISOString().slice(0, 16).replace("T", " ")) },
          {
            label: figure.dataset.label,
            stroke: colour("--line"),
            fill: colour("--fill"),
            width: 1.5,
            points: { show: false },
            value: (_, value) => told(value),
          },
        ],
      },
      [moments, values],
      figure,
    );
    new ResizeObserver(() => plot.setSize(size())).observe(figure);
  };
  const drawAll = () => document.querySelectorAll("figure.chart").forEach((figure) => draw(figure));
  drawAll();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
})();
