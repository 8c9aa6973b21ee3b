/* Chapter 13: nine weights, a stride and a dilation slide over a photograph.
 *
 * <div class="nn-knob" data-knob="convolution"
 *      data-params='{"width": 160, "height": 106, "pixels": "base64 of bytes, row by row"}'></div>
 *
 *   y[p][q] = sum of w[i][j] x[p s + i d][q s + j d], the kernel not turned, no padding
 */
(function () {
  "use strict";
  const NINTH = 1 / 9;
  const PRESETS = {
    "edges |": [-1, 0, 1, -2, 0, 2, -1, 0, 1],
    "edges –": [-1, -2, -1, 0, 0, 0, 1, 2, 1],
    spots: [-1, -1, -1, -1, 8, -1, -1, -1, -1],
    blur: [NINTH, NINTH, NINTH, NINTH, NINTH, NINTH, NINTH, NINTH, NINTH],
    sharpen: [0, -1, 0, -1, 5, -1, 0, -1, 0],
    nothing: [0, 0, 0, 0, 1, 0, 0, 0, 0],
  };

  const places = (size, stride, dilation) => Math.floor((size - 2 * dilation - 1) / stride) + 1;

  // Pixels are numbers row by row; so is the result.
  function filter(pixels, width, height, kernel, stride, dilation) {
    const w = places(width, stride, dilation);
    const h = places(height, stride, dilation);
    const values = new Float64Array(w * h);
    for (let p = 0; p < h; p += 1) {
      for (let q = 0; q < w; q += 1) {
        let sum = 0;
        for (let i = 0; i < 3; i += 1) {
          const row = (p * stride + i * dilation) * width + q * stride;
          for (let j = 0; j < 3; j += 1) sum += kernel[3 * i + j] * pixels[row + j * dilation];
        }
        values[p * w + q] = sum;
      }
    }
    return { values, width: w, height: h };
  }

  // Where the weights add up to 0 an even patch gives 0, shown as middle grey.
  function grey(value, balanced) {
    const shown = balanced ? 0.5 + value / 3 : value;
    return Math.round(255 * Math.min(1, Math.max(0, shown)));
  }

  function html(tag, className, parent, content) {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (content !== undefined) element.innerHTML = content;
    parent.append(element);
    return element;
  }

  function mount(root) {
    const params = JSON.parse(root.dataset.params);
    const bytes = atob(params.pixels);
    const pixels = Float64Array.from(bytes, (c) => c.charCodeAt(0) / 255);
    const state = { kernel: [...PRESETS["edges |"]], stride: 1, dilation: 1 };
    root.replaceChildren();
    const body = html("div", "nn-knob-body", root);
    const canvas = html("canvas", "", body);
    canvas.setAttribute("role", "img");
    Object.assign(canvas.style, { width: "100%", imageRendering: "pixelated", borderRadius: "4px", display: "block" });
    canvas.style.aspectRatio = `${params.width} / ${params.height}`;
    const side = html("div", "nn-knob-controls", body);

    const table = html("div", "", side);
    Object.assign(table.style, { display: "grid", gridTemplateColumns: "repeat(3, minmax(0, 1fr))", gap: "0.3rem" });
    const inputs = state.kernel.map((_, k) => {
      const input = html("input", "", table);
      Object.assign(input, { type: "number", step: "any" });
      input.setAttribute("aria-label", `weight in row ${Math.floor(k / 3) + 1}, column ${(k % 3) + 1}`);
      Object.assign(input.style, { width: "100%", padding: "0.35rem", textAlign: "center", font: "inherit", color: "var(--nn-ink)", background: "var(--nn-paper)", border: "1px solid var(--nn-w)", borderRadius: "4px" });
      input.addEventListener("input", () => {
        if (!Number.isFinite(input.valueAsNumber)) return;
        state.kernel[k] = input.valueAsNumber;
        draw();
      });
      return input;
    });

    const buttons = html("div", "nn-knob-buttons", side);
    buttons.style.marginTop = "0";
    for (const [name, kernel] of Object.entries(PRESETS)) {
      const button = html("button", "", buttons, name);
      button.type = "button";
      button.style.padding = "0.25rem 0.55rem";
      button.addEventListener("click", () => { state.kernel = [...kernel]; write(); draw(); });
    }
    const outputs = {};
    for (const [key, letter, high] of [["stride", "s", 4], ["dilation", "d", 8]]) {
      const row = html("label", "nn-knob-control", side);
      html("span", "nn-knob-name", row, letter);
      const input = html("input", "", row);
      Object.assign(input, { type: "range", min: 1, max: high, step: 1, value: 1 });
      input.setAttribute("aria-label", key);
      outputs[key] = html("output", "", row);
      input.addEventListener("input", () => { state[key] = Number(input.value); draw(); });
    }
    const status = html("p", "nn-knob-status", root);
    status.setAttribute("role", "status");

    function write() {
      inputs.forEach((input, k) => { input.value = String(Math.round(state.kernel[k] * 1000) / 1000); });
    }

    function draw() {
      const y = filter(pixels, params.width, params.height, state.kernel, state.stride, state.dilation);
      const sum = state.kernel.reduce((a, b) => a + b, 0);
      const balanced = Math.abs(sum) < 1e-9;
      canvas.width = y.width;
      canvas.height = y.height;
      const context = canvas.getContext("2d");
      const image = context.createImageData(y.width, y.height);
      y.values.forEach((value, k) => {
        image.data.fill(grey(value, balanced), 4 * k, 4 * k + 3);
        image.data[4 * k + 3] = 255;
      });
      context.putImageData(image, 0, 0);
      for (const key of ["stride", "dilation"]) outputs[key].textContent = state[key];
      const size = `${y.height} × ${y.width}`;
      canvas.setAttribute("aria-label", `The photograph, filtered: ${size} pixels`);
      status.innerHTML = `${params.height} × ${params.width} pixels in, <strong>${size}</strong> out. `
        + `The weights add up to <strong>${String(Math.round(sum * 100) / 100).replace("-", "−")}</strong>: `
        + (balanced ? "an even patch gives 0, shown as grey." : Math.abs(sum - 1) < 1e-3 ? "an even patch keeps its brightness." : "an even patch is multiplied by that.");
      root.dataset.size = JSON.stringify([y.height, y.width]);
      root.dataset.sum = String(sum);
    }
    write();
    draw();
  }

  window.nnKnobs = window.nnKnobs || {};
  window.nnKnobs.convolution = { filter, places, mount, presets: PRESETS };
})();
