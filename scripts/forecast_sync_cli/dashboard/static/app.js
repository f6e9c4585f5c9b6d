// What fragments can't do by themselves: dialogs, the chart, and the offline notice.
(() => {
  "use strict";
  const byId = (id) => document.getElementById(id);
  const clock = () => `${new Date().toISOString().slice(11, 19)} UTC`;
  const SILENT_MS = 8000;
  let lastData = null;
  let heardAt = Date.now();

  // Proves that this page sends the request, and no other: see security.py.
  document.addEventListener("htmx:configRequest", (event) => {
    event.detail.headers["X-CSRF-Token"] = localStorage.getItem("page-key") || "";
  });

  // A hidden page sends no requests; when it is shown again, it polls at once.
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (document.hidden && event.target.hasAttribute("data-poll")) event.preventDefault();
  });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    heardAt = Date.now();
    htmx.trigger(document.body, "changed");
  });

  const setBadge = (state, words) => {
    const badge = byId("connection");
    badge.dataset.state = state;
    const text = badge.querySelector("[data-words]");
    if (text.textContent !== words) text.textContent = words;
  };
  // The badge says what has come: "Live" only while data comes from the deployment itself.
  const say = (id, why) => {
    for (const each of ["offline", "no-data"]) byId(each).hidden = each !== id;
    document.body.classList.toggle("is-offline", id !== null);
    if (id === null) return;
    byId(id).querySelector("[data-since]").textContent = lastData || "an earlier visit";
    const place = byId(id).querySelector("[data-why]");
    if (place) place.textContent = why;
  };
  const online = () => {
    const wasGone = document.body.classList.contains("is-offline");
    lastData = clock();
    heardAt = Date.now();
    say(null);
    setBadge("live", "Live");
    if (wasGone) htmx.trigger(document.body, "changed");
  };
  const offline = () => {
    say("offline");
    setBadge("offline", "Offline");
  };
  const silent = (why) => {
    say("no-data", why);
    setBadge("offline", "No data");
  };
  const isPart = (element) => element && element.hasAttribute && element.hasAttribute("data-poll");
  const hasData = (response) => response.getResponseHeader("X-Data") !== "none";
  document.addEventListener("htmx:sendError", offline);
  document.addEventListener("htmx:afterRequest", (event) => {
    const { xhr, target } = event.detail;
    if (!xhr || !xhr.status || !target || target.id !== "now") return;
    if (xhr.status < 400 && hasData(xhr)) online();
    else silent(reasonIn(xhr));
  });
  const reasonIn = (xhr) => {
    const shown = new DOMParser().parseFromString(xhr.responseText, "text/html");
    const said = shown.querySelector("[data-reason] p");
    const why = said ? said.lastChild.textContent.trim() : "";
    return why && !/[.!?]$/.test(why) ? `${why}.` : why;
  };
  setInterval(() => {
    const quiet = Date.now() - heardAt;
    const isSaid = document.body.classList.contains("is-offline");
    if (!document.hidden && quiet > SILENT_MS && lastData && !isSaid) silent("It doesn't answer.");
  }, 1000);

  // A part that can't be renewed keeps its data, and says since when.
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { xhr, target } = event.detail;
    if (!isPart(target)) return;
    const note = byId(`${target.id}-note`);
    if (xhr.status < 400 && hasData(xhr)) {
      if (note) note.remove();
      target.dataset.since = clock();
      return;
    }
    if (!target.dataset.since) return;
    event.detail.shouldSwap = false;
    if (target.id === "now" || note) return;
    const said = document.createElement("p");
    said.id = `${target.id}-note`;
    said.className = "notice bad";
    said.textContent = `Not renewed since ${target.dataset.since}: ${reasonIn(xhr)}`;
    target.before(said);
  });

  // A table that is wider than its place says so.
  const hint = () => {
    for (const box of document.querySelectorAll(".scroll")) {
      const before = box.previousElementSibling;
      if (before && before.classList.contains("hint")) {
        before.classList.toggle("shown", box.scrollWidth > box.clientWidth + 1);
      }
    }
  };
  document.addEventListener("htmx:afterSettle", hint);
  addEventListener("resize", hint);
  document.addEventListener("toggle", hint, true);

  // The table switch: a choice by pointer shows at once; arrow keys only choose, Enter and Show show.
  let isChosenByKey = false;
  const isChoice = (element) => element.id === "table-choice";
  document.addEventListener("keydown", (event) => {
    if (isChoice(event.target)) isChosenByKey = event.key !== "Tab";
  });
  document.addEventListener("pointerdown", (event) => {
    if (isChoice(event.target)) isChosenByKey = false;
  });
  document.addEventListener("change", (event) => {
    if (isChoice(event.target) && !isChosenByKey) event.target.form.requestSubmit();
  });
  document.addEventListener("submit", (event) => {
    if (event.target.id !== "table-switch") return;
    event.preventDefault();
    const table = byId("table-choice").value;
    sessionStorage.setItem("switched", "1");
    location.assign(table ? `/?table=${encodeURIComponent(table)}` : "/");
  });
  document.addEventListener("htmx:afterSettle", (event) => {
    if (event.target.id !== "switch" || !sessionStorage.getItem("switched")) return;
    sessionStorage.removeItem("switched");
    const choice = byId("table-choice");
    if (choice) choice.focus({ preventScroll: true });
  });

  // Dialogs: filled by the server, shown when filled, closed when the server has nothing to add.
  const dialog = byId("dialog");
  let opener = null;
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button && button.getAttribute("hx-target") === "#dialog") opener = button.id || button;
    if (button && button.hasAttribute("data-close")) dialog.close();
  });
  dialog.addEventListener("close", () => {
    // The event comes a little after the end, when the next dialog may be shown already.
    if (dialog.open) return;
    dialog.replaceChildren();
    const back = typeof opener === "string" ? byId(opener) : opener;
    if (back && back.isConnected && !back.disabled) back.focus();
    else byId("main").focus({ preventScroll: true });
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.target !== dialog || !dialog.firstElementChild) return;
    // At once, not after htmx has settled: until then Enter would submit the form without htmx.
    htmx.process(dialog);
    const first = dialog.querySelector("[autofocus]");
    if (!dialog.open) dialog.showModal();
    // Once: htmx would focus it again after settling, even if the user has moved on.
    if (first) {
      first.removeAttribute("autofocus");
      first.focus();
    }
  });
  document.addEventListener("htmx:afterSettle", (event) => {
    const wrong = event.target === dialog && dialog.querySelector("[aria-invalid]");
    if (wrong) wrong.focus();
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    const sent = event.target.closest && event.target.closest("#dialog form");
    if (sent && event.detail.xhr.status === 204) dialog.close();
    if (sent && !event.detail.xhr.status) dialog.querySelector("[type=submit]").disabled = false;
  });

  // When the shown run starts or ends, everything else is polled at once.
  let shown = null;
  document.addEventListener("htmx:afterSettle", (event) => {
    if (event.target.id !== "now") return;
    const run = event.target.querySelector("[data-run]");
    const now = run ? run.dataset.run : "none";
    if (shown !== null && now !== shown) htmx.trigger(document.body, "ran");
    shown = now;
  });

  // The chart shows the table's data, in the page's colors.
  const MARKS = { failed: "✗", timed_out: "✗", stopped: "■", superseded: "⊘", coalesced: "⊘", running: "…" };
  const hiddenRows = new Set(["unchanged"]);
  let chart = null;
  let drawn = null;
  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const draw = () => {
    const source = document.querySelector("[data-chart]");
    if (!source) return;
    const key = source.dataset.chart + matchMedia("(prefers-color-scheme: dark)").matches;
    if (key === drawn) return;
    drawn = key;
    const data = JSON.parse(source.dataset.chart);
    byId("timeline").hidden = data.runs.length === 0;
    if (chart) chart.destroy();
    if (!data.runs.length) return;
    const ink = color("--quiet");
    chart = new Chart(byId("chart"), {
      type: "bar",
      data: {
        labels: data.labels.map((lines, i) => [MARKS[data.outcomes[i]] || "", ...lines]),
        datasets: Object.keys(data.rows).map((name) => ({
          label: name,
          hidden: hiddenRows.has(name),
          data: data.rows[name].map((rows) => rows || null),
          backgroundColor: color(`--${name}`),
          minBarLength: 3,
          maxBarThickness: 48,
        })),
      },
      options: {
        animation: false,
        maintainAspectRatio: false,
        responsive: true,
        interaction: { mode: "index", intersect: false },
        onClick: (_event, _items, at) => {
          const hit = at.getElementsAtEventForMode(_event, "index", { intersect: false }, true)[0];
          if (!hit) return;
          const query = new URLSearchParams(location.search);
          query.set("run", data.runs[hit.index]);
          location.assign(`/?${query}`);
        },
        scales: {
          x: { stacked: true, grid: { display: false }, ticks: { color: ink, maxRotation: 0, autoSkip: true } },
          y: { stacked: true, beginAtZero: true, grid: { color: color("--line") }, ticks: { color: ink, maxTicksLimit: 5, precision: 0 }, title: { display: true, text: "rows", color: ink } },
        },
        plugins: {
          legend: {
            labels: { color: ink, boxWidth: 12, boxHeight: 12 },
            onClick: (_event, item, legend) => {
              if (!hiddenRows.delete(item.text)) hiddenRows.add(item.text);
              legend.chart.setDatasetVisibility(item.datasetIndex, !hiddenRows.has(item.text));
              legend.chart.update();
            },
          },
          tooltip: { callbacks: { title: (items) => data.titles[items[0].dataIndex] } },
        },
      },
    });
  };
  document.addEventListener("htmx:afterSettle", draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
})();
