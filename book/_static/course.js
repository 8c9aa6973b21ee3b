/* Load each knob's script once, and only on pages that hold the knob.
 *
 * A knob is `<div class="nn-knob" data-knob="neuron">`. Its script registers
 * `window.nnKnobs[name].mount(element)`; `hidden-unit` registers as `hiddenUnit`.
 */
(function () {
  "use strict";
  const here = document.currentScript.src;
  window.nnKnobs = window.nnKnobs || {};

  function camel(name) {
    return name.replace(/-([a-z])/g, (_, letter) => letter.toUpperCase());
  }

  function load(name, elements) {
    const script = document.createElement("script");
    script.src = new URL("knobs/" + name + ".js", here).href;
    script.onload = () => elements.forEach((element) => window.nnKnobs[camel(name)].mount(element));
    script.onerror = () => elements.forEach((element) => {
      element.textContent = "This figure could not be loaded.";
    });
    document.head.append(script);
  }

  // On a phone a picture of several panels would shrink until its labels can't be read: keep it at
  // half its size or more and let it scroll.
  function widen() {
    document.querySelectorAll(".bd-article figure img.nn-figure").forEach((image) => {
      const least = 0.58 * image.naturalWidth;
      if (!image.clientWidth || image.clientWidth >= least) return;
      const figure = image.closest("figure");
      image.style.width = Math.round(least) + "px";
      figure.classList.add("nn-scroll");
      figure.tabIndex = 0;
    });
  }

  function start() {
    const byName = new Map();
    document.querySelectorAll(".nn-knob[data-knob]").forEach((element) => {
      const name = element.dataset.knob;
      if (!/^[a-z][a-z-]*$/.test(name)) return;
      byName.set(name, (byName.get(name) || []).concat(element));
    });
    byName.forEach((elements, name) => load(name, elements));
    window.addEventListener("load", widen);
    // Wide tables scroll inside themselves, so a keyboard must reach them.
    document.querySelectorAll(".bd-article table").forEach((table) => {
      const box = table.closest(".pst-scrollable-table-container, .cell_output .output");
      if (box && !box.hasAttribute("tabindex")) box.tabIndex = 0;
    });
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
