/* Tabs for code that exists in both tracks.
 *
 * Adjacent cells tagged `track-numpy` and `track-torch` become one tab set. Without JavaScript both
 * cells stay on the page, one under the other, labelled by course.css. The choice is remembered
 * across pages and applies to every tab set at once.
 */
(function () {
  "use strict";
  const KEY = "nncourse-track";
  const TRACKS = [["numpy", "NumPy"], ["torch", "PyTorch"]];
  const groups = [];

  function remembered() {
    try { return window.localStorage.getItem(KEY); } catch (error) { return null; }
  }

  function remember(track) {
    try { window.localStorage.setItem(KEY, track); } catch (error) { /* private mode: no memory */ }
  }

  function trackOf(cell) {
    const found = TRACKS.find(([track]) => cell.classList.contains("tag_track-" + track));
    return found ? found[0] : null;
  }

  function collect() {
    const cells = Array.from(document.querySelectorAll(".tag_track-numpy, .tag_track-torch"));
    const seen = new Set();
    for (const cell of cells) {
      if (seen.has(cell)) continue;
      const run = [];
      for (let next = cell; next && trackOf(next); next = next.nextElementSibling) {
        run.push(next);
        seen.add(next);
      }
      const present = TRACKS.filter(([track]) => run.some((c) => trackOf(c) === track));
      if (present.length > 1) build(run, present, groups.length + 1);
    }
  }

  function build(run, present, serial) {
    const root = document.createElement("div");
    root.className = "nn-tracks";
    const list = document.createElement("div");
    list.className = "nn-tablist";
    list.setAttribute("role", "tablist");
    list.setAttribute("aria-label", "Track");
    run[0].before(root);
    root.append(list);
    const tabs = {};
    const panels = {};
    for (const [track, label] of present) {
      const tab = document.createElement("button");
      tab.type = "button";
      tab.className = "nn-tab";
      tab.id = "nn-tab-" + serial + "-" + track;
      tab.textContent = label;
      tab.dataset.track = track;
      tab.setAttribute("role", "tab");
      tab.setAttribute("aria-controls", "nn-panel-" + serial + "-" + track);
      tab.addEventListener("click", () => choose(track, tab));
      tab.addEventListener("keydown", (event) => onKey(event, serial, present));
      list.append(tab);
      tabs[track] = tab;
      const panel = document.createElement("div");
      panel.className = "nn-tabpanel";
      panel.id = "nn-panel-" + serial + "-" + track;
      panel.setAttribute("role", "tabpanel");
      panel.setAttribute("aria-labelledby", tab.id);
      run.filter((cell) => trackOf(cell) === track).forEach((cell) => panel.append(cell));
      root.append(panel);
      panels[track] = panel;
    }
    groups.push({ tabs, panels });
  }

  function onKey(event, serial, present) {
    const names = present.map(([track]) => track);
    const here = names.indexOf(event.currentTarget.dataset.track);
    const moves = {
      ArrowRight: (here + 1) % names.length,
      ArrowLeft: (here + names.length - 1) % names.length,
      Home: 0,
      End: names.length - 1,
    };
    if (!(event.key in moves)) return;
    event.preventDefault();
    const tab = groups[serial - 1].tabs[names[moves[event.key]]];
    choose(tab.dataset.track, tab);
    tab.focus();
  }

  function choose(track, clicked) {
    // Tab sets above may change height: keep the clicked one where the reader sees it.
    const before = clicked.getBoundingClientRect().top;
    remember(track);
    show(track);
    window.scrollBy({ top: clicked.getBoundingClientRect().top - before, behavior: "instant" });
  }

  function show(track) {
    for (const { tabs, panels } of groups) {
      const chosen = track in tabs ? track : Object.keys(tabs)[0];
      for (const name of Object.keys(tabs)) {
        const active = name === chosen;
        tabs[name].setAttribute("aria-selected", String(active));
        tabs[name].tabIndex = active ? 0 : -1;
        panels[name].hidden = !active;
      }
    }
  }

  function start() {
    collect();
    show(remembered() || "numpy");
    window.addEventListener("storage", (event) => {
      if (event.key === KEY && event.newValue) show(event.newValue);
    });
  }

  window.nnTracks = { show };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
