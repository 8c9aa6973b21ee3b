/* Chapter 1: one neuron with two inputs and a threshold.
 *
 * <div class="nn-knob" data-knob="neuron" data-params='{"w1": 1, "w2": 0.5, "b": 0}'></div>
 * data-points='[[x1, x2, target], ...]' replaces the twenty built-in points.
 *
 *   z = w1 x1 + w2 x2 + b        y = 1 if z >= 0 else 0
 *   perceptron rule:  w += (t - y) x,  b += (t - y)
 */
(function () {
  "use strict";
  const NS = "http://www.w3.org/2000/svg";
  const RANGE = 3;
  const SIZE = 400;
  const LIMIT = 4;
  const POINTS = [
    [-2.3, -0.4, 0], [-1.7, -1.6, 0], [-1.1, 0.3, 0], [-0.9, -2.2, 0], [-2.1, 1.1, 0],
    [-0.2, -1.0, 0], [0.6, -2.4, 0], [-1.5, 0.9, 0], [0.3, -1.7, 0], [-0.7, -0.5, 0],
    [1.8, 0.2, 1], [0.9, 1.4, 1], [2.4, 1.5, 1], [0.1, 2.3, 1], [1.5, 2.2, 1],
    [2.2, -0.8, 1], [-0.6, 1.9, 1], [1.2, 0.5, 1], [2.6, 0.6, 1], [0.3, 1.1, 1],
  ];
  const START = { w1: -1, w2: 1.5, b: 1 };

  function compute(params, point) {
    const z = params.w1 * point[0] + params.w2 * point[1] + params.b;
    return { z, y: z >= 0 ? 1 : 0 };
  }

  function misclassified(params, points) {
    return points.map((p, i) => i).filter((i) => compute(params, points[i]).y !== points[i][2]);
  }

  function update(params, points) {
    const wrong = misclassified(params, points);
    if (wrong.length === 0) return { params: { ...params }, index: null };
    const [x1, x2, t] = points[wrong[0]];
    const step = t - compute(params, points[wrong[0]]).y;
    return {
      params: { w1: params.w1 + step * x1, w2: params.w2 + step * x2, b: params.b + step },
      index: wrong[0],
    };
  }

  // The line's two ends on the plane's frame, or null where the weights are zero.
  function decisionLine(params, reach) {
    const length = Math.hypot(params.w1, params.w2);
    if (length < 1e-9) return null;
    const base = [-params.b * params.w1 / length ** 2, -params.b * params.w2 / length ** 2];
    const along = [-params.w2 / length, params.w1 / length];
    return { base, along, a: base.map((v, i) => v - reach * along[i]), b: base.map((v, i) => v + reach * along[i]) };
  }

  const px = (x) => ((x + RANGE) / (2 * RANGE)) * SIZE;
  const py = (y) => ((RANGE - y) / (2 * RANGE)) * SIZE;

  function make(tag, attributes, parent) {
    const element = document.createElementNS(NS, tag);
    for (const [key, value] of Object.entries(attributes || {})) element.setAttribute(key, value);
    if (parent) parent.append(element);
    return element;
  }

  function html(tag, className, parent, content) {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (content !== undefined) element.innerHTML = content;
    if (parent) parent.append(element);
    return element;
  }

  function marker(parent, target, size) {
    // Class 1 is a filled disc, class 0 an open square: shape tells them apart without colour.
    return target === 1
      ? make("circle", { r: size, fill: "var(--nn-y)", stroke: "var(--nn-paper)", "stroke-width": 1 }, parent)
      : make("rect", { x: -size + 0.5, y: -size + 0.5, width: 2 * size - 1, height: 2 * size - 1, fill: "var(--nn-paper)", stroke: "var(--nn-x)", "stroke-width": 2.5 }, parent);
  }

  function read(root, name, fallback) {
    return root.dataset[name] ? JSON.parse(root.dataset[name]) : fallback;
  }

  let serial = 0;

  function mount(root) {
    serial += 1;
    const points = read(root, "points", POINTS);
    const initial = { ...START, ...read(root, "params", {}) };
    let params = { ...initial };
    let steps = 0;
    root.replaceChildren();
    const body = html("div", "nn-knob-body", root);
    const left = html("div", "", body);
    const right = html("div", "nn-knob-controls", body);

    const plane = make("svg", { viewBox: `0 0 ${SIZE} ${SIZE}`, role: "img", "aria-label": "Plane of two inputs with the points of two classes and the neuron's decision line" }, left);
    const clipId = "nn-neuron-clip-" + serial;
    make("rect", { width: SIZE, height: SIZE, rx: 4 }, make("clipPath", { id: clipId }, make("defs", {}, plane)));
    const inside = make("g", { "clip-path": `url(#${clipId})` }, plane);
    make("rect", { width: SIZE, height: SIZE, fill: "var(--nn-paper)" }, inside);
    const half = make("polygon", { fill: "var(--nn-y)", "fill-opacity": 0.16 }, inside);
    for (let v = -RANGE + 1; v < RANGE; v += 1) {
      const faint = { stroke: "var(--nn-line)", "stroke-width": v === 0 ? 1.6 : 0.8 };
      make("line", { x1: px(v), x2: px(v), y1: 0, y2: SIZE, ...faint }, inside);
      make("line", { y1: py(v), y2: py(v), x1: 0, x2: SIZE, ...faint }, inside);
    }
    make("text", { x: SIZE - 8, y: py(0) - 7, "text-anchor": "end", "font-size": 14, "font-style": "italic" }, inside).textContent = "x₁";
    make("text", { x: px(0) + 7, y: 16, "font-size": 14, "font-style": "italic" }, inside).textContent = "x₂";
    const line = make("line", { stroke: "var(--nn-ink)", "stroke-width": 2.5 }, inside);
    const grip = make("line", { stroke: "transparent", "stroke-width": 26, class: "nn-handle" }, inside);
    const arrow = make("line", { stroke: "var(--nn-w)", "stroke-width": 3 }, inside);
    const marks = points.map((point) => {
      const group = make("g", { transform: `translate(${px(point[0])} ${py(point[1])})`, "pointer-events": "none" }, inside);
      const ring = make("circle", { r: 12, fill: "none", stroke: "var(--nn-wrong)", "stroke-width": 2.5 }, group);
      marker(group, point[2], 6);
      const label = make("text", { x: 0, y: -12, "text-anchor": "middle", "font-size": 10.5 }, group);
      return { ring, label };
    });
    const tip = make("circle", { r: 8, fill: "var(--nn-w)", class: "nn-handle" }, inside);
    make("rect", { x: 0.5, y: 0.5, width: SIZE - 1, height: SIZE - 1, rx: 4, fill: "none", stroke: "var(--nn-line)" }, plane);

    const strip = make("svg", { viewBox: `0 0 ${SIZE} 74`, role: "img", "aria-label": "Every point placed at its weighted sum; the threshold is at zero" }, left);
    make("rect", { x: SIZE / 2, y: 8, width: SIZE / 2, height: 40, fill: "var(--nn-y)", "fill-opacity": 0.16 }, strip);
    make("line", { x1: 0, x2: SIZE, y1: 48, y2: 48, stroke: "var(--nn-muted)" }, strip);
    make("line", { x1: SIZE / 2, x2: SIZE / 2, y1: 4, y2: 54, stroke: "var(--nn-ink)", "stroke-width": 2.5 }, strip);
    [["start", 2, "z < 0, says 0"], ["middle", SIZE / 2, "z = 0"], ["end", SIZE - 2, "z ≥ 0, says 1"]].forEach(([anchor, x, text]) => {
      make("text", { x, y: 68, "text-anchor": anchor, "font-size": 12.5 }, strip).textContent = text;
    });
    const stripMarks = points.map((point) => {
      const group = make("g", {}, strip);
      marker(group, point[2], 5);
      return group;
    });

    const inputs = {};
    const outputs = {};
    for (const [key, label, colour, spoken] of [["w1", "w<sub>1</sub>", "var(--nn-w)", "weight 1"], ["w2", "w<sub>2</sub>", "var(--nn-w)", "weight 2"], ["b", "b", "var(--nn-b)", "bias"]]) {
      const row = html("label", "nn-knob-control", right);
      row.style.setProperty("--knob", colour);
      html("span", "nn-knob-name", row, label);
      const input = html("input", "", row);
      Object.assign(input, { type: "range", min: -LIMIT, max: LIMIT, step: 0.05 });
      input.setAttribute("aria-label", spoken);
      input.addEventListener("input", () => { params[key] = Number(input.value); steps = 0; draw("You moved the line."); });
      inputs[key] = input;
      outputs[key] = html("output", "", row);
    }
    const buttons = html("div", "nn-knob-buttons", right);
    const learn = html("button", "nn-primary", buttons, "Run one perceptron update");
    const reset = html("button", "", buttons, "Reset");
    learn.type = reset.type = "button";
    const status = html("p", "nn-knob-status", right);
    status.setAttribute("role", "status");
    html("p", "nn-knob-legend", right, "Disc: target 1. Square: target 0. Ring: the neuron is wrong. The number at each point is its weighted sum z. Drag the line to shift it, its arrow to turn it, or use the sliders.");

    function draw(message) {
      const ends = decisionLine(params, 3 * RANGE);
      for (const key of ["w1", "w2", "b"]) {
        inputs[key].value = params[key];
        outputs[key].textContent = params[key].toFixed(2);
      }
      for (const part of [line, grip, arrow, tip]) part.style.display = ends ? "" : "none";
      if (ends) {
        const normal = [params.w1, params.w2].map((v) => v / Math.hypot(params.w1, params.w2));
        const far = (p) => p.map((v, i) => v + 3 * RANGE * normal[i]);
        half.setAttribute("points", [ends.a, ends.b, far(ends.b), far(ends.a)].map(([x, y]) => px(x) + "," + py(y)).join(" "));
        for (const part of [line, grip]) {
          part.setAttribute("x1", px(ends.a[0])); part.setAttribute("y1", py(ends.a[1]));
          part.setAttribute("x2", px(ends.b[0])); part.setAttribute("y2", py(ends.b[1]));
        }
        const head = ends.base.map((v, i) => v + 0.9 * normal[i]);
        arrow.setAttribute("x1", px(ends.base[0])); arrow.setAttribute("y1", py(ends.base[1]));
        arrow.setAttribute("x2", px(head[0])); arrow.setAttribute("y2", py(head[1]));
        tip.setAttribute("cx", px(head[0])); tip.setAttribute("cy", py(head[1]));
      } else {
        const whole = params.b >= 0 ? `0,0 ${SIZE},0 ${SIZE},${SIZE} 0,${SIZE}` : "";
        half.setAttribute("points", whole);
      }
      let largest = 1e-9;
      const sums = points.map((point) => compute(params, point).z);
      sums.forEach((z) => { largest = Math.max(largest, Math.abs(z)); });
      const wrong = new Set(misclassified(params, points));
      const placed = [];
      points.forEach((point, i) => {
        marks[i].ring.style.display = wrong.has(i) ? "" : "none";
        marks[i].label.textContent = sums[i].toFixed(1);
      marks[i].label.setAttribute("y", wrong.has(i) ? -16 : -11);
        const x = SIZE / 2 + (sums[i] / largest) * (SIZE / 2 - 8);
        let level = 0;
        while (level < 3 && placed.some((other) => other.level === level && Math.abs(other.x - x) < 11)) level += 1;
        placed.push({ x, level });
        stripMarks[i].setAttribute("transform", `translate(${x} ${42 - level * 10.5})`);
      });
      learn.disabled = wrong.size === 0;
      status.innerHTML = `<strong>${wrong.size}</strong> of ${points.length} points wrong. ${message || ""}`;
      root.dataset.errors = String(wrong.size);
    }

    learn.addEventListener("click", () => {
      const { params: next, index } = update(params, points);
      if (index === null) return;
      steps += 1;
      const [x1, x2, t] = points[index];
      params = next;
      draw(`Update ${steps}: point (${x1}, ${x2}) should be ${t}, so w ${t ? "gains" : "loses"} x and b ${t ? "gains" : "loses"} 1.`);
    });
    reset.addEventListener("click", () => { params = { ...initial }; steps = 0; draw(""); });

    function toPlane(event) {
      const box = plane.getBoundingClientRect();
      return [((event.clientX - box.left) / box.width) * 2 * RANGE - RANGE, RANGE - ((event.clientY - box.top) / box.height) * 2 * RANGE];
    }
    const clamp = (v) => Math.min(LIMIT, Math.max(-LIMIT, v));
    function drag(handle, move) {
      handle.addEventListener("pointerdown", (event) => {
        event.preventDefault();
        handle.setPointerCapture(event.pointerId);
        const follow = (next) => { move(toPlane(next)); steps = 0; draw("You moved the line."); };
        handle.addEventListener("pointermove", follow);
        const stop = () => handle.removeEventListener("pointermove", follow);
        handle.addEventListener("pointerup", stop, { once: true });
        handle.addEventListener("pointercancel", stop, { once: true });
      });
      handle.addEventListener("touchstart", (event) => event.preventDefault(), { passive: false });
    }
    // Shifting keeps the weights: only the bias decides where the line lies.
    drag(grip, ([x, y]) => { params.b = clamp(-(params.w1 * x + params.w2 * y)); });
    // Turning keeps the length of w and the line's distance from the origin.
    drag(tip, ([x, y]) => {
      const ends = decisionLine(params, 1);
      const length = Math.hypot(params.w1, params.w2);
      const to = [x - ends.base[0], y - ends.base[1]];
      const norm = Math.hypot(to[0], to[1]);
      if (norm < 0.15) return;
      params.w1 = (length * to[0]) / norm;
      params.w2 = (length * to[1]) / norm;
    });
    draw("");
  }

  window.nnKnobs = window.nnKnobs || {};
  window.nnKnobs.neuron = { compute, misclassified, update, mount, points: POINTS };
})();
