// What fragments can't do by themselves: dialogs, the chart, and the offline notice.
(() => {
  "use strict";
  const byId = (id) => document.getElementById(id);
  const clock = () => `${new Date().toISOString().slice(11, 19)} UTC`;
  let lastAnswer = null;

  // Proves that this page sends the request, and no other: see security.py.
  document.addEventListener("htmx:configRequest", (event) => {
    event.detail.headers["X-CSRF-Token"] = localStorage.getItem("page-key") || "";
  });

  // A hidden page sends no requests; when it is shown again, it polls at once.
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (document.hidden && event.target.hasAttribute("data-poll")) event.preventDefault();
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) htmx.trigger(document.body, "changed");
  });

  const setBadge = (state, words) => {
    const badge = byId("connection");
    badge.dataset.state = state;
    const text = badge.querySelector("[data-words]");
    if (text.textContent !== words) text.textContent = words;
  };
  const online = () => {
    if (byId("offline").hidden === false) htmx.trigger(document.body, "changed");
    lastAnswer = clock();
    byId("offline").hidden = true;
    document.body.classList.remove("is-offline");
    setBadge("live", "Live");
  };
  const offline = () => {
    byId("offline").querySelector("[data-since]").textContent = lastAnswer || "an earlier visit";
    byId("offline").hidden = false;
    document.body.classList.add("is-offline");
    setBadge("offline", "Offline");
  };
  document.addEventListener("htmx:sendError", offline);
  document.addEventListener("htmx:timeout", offline);
  document.addEventListener("htmx:afterRequest", (event) => {
    if (event.detail.xhr && event.detail.xhr.status) online();
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
  const MARKS = { failed: "✗", superseded: "⊘", running: "…" };
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
        labels: data.labels.map((label, i) => [MARKS[data.statuses[i]] || "", label.slice(-5)]),
        datasets: Object.keys(data.rows).map((name) => ({
          label: name,
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
          if (hit) location.assign(`/?run=${encodeURIComponent(data.runs[hit.index])}`);
        },
        scales: {
          x: { stacked: true, grid: { display: false }, ticks: { color: ink, maxRotation: 0, autoSkip: true } },
          y: { stacked: true, beginAtZero: true, grid: { color: color("--line") }, ticks: { color: ink, maxTicksLimit: 5 }, title: { display: true, text: "rows", color: ink } },
        },
        plugins: {
          legend: { labels: { color: ink, boxWidth: 12, boxHeight: 12 } },
          tooltip: { callbacks: { title: (items) => `${data.runs[items[0].dataIndex]} (${data.statuses[items[0].dataIndex]})` } },
        },
      },
    });
  };
  document.addEventListener("htmx:afterSettle", draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
})();
