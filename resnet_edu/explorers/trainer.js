/** What the figures that train share: fetching the engine when the reader comes near, one run at a time, line charts. */
(function (root) {
  "use strict";
  const RE = root.ResnetEdu;
  if (RE.Trainer) return;
  const { h, svg, set, line } = RE;

  /** The engine's parts, in the order of ENGINE in explorers/__init__.py. */
  const ENGINE = ["engine", "program", "kernels-wasm", "wasm", "network", "training", "digits", "worker"];
  // Where this script came from; a notebook carries the engine in the same output, and has no need to know.
  const HERE = document.currentScript?.src;

  let loading = Promise.resolve();
  /** The engine and these further parts, each fetched once and in turn. */
  function engine(further = []) {
    loading = loading.catch(() => {}).then(async () => {
      for (const name of [...ENGINE, ...further]) await bring(name);
      // Where WebAssembly's SIMD is missing, or a policy forbids it, plain JavaScript does the same, slowly.
      if (!RE.net.has("kernels") && !(fast ??= await RE.net.fast())) await bring("kernels");
      return RE.net;
    });
    return loading;
  }

  let fast = null;
  async function bring(name) {
    if (name === "engine" ? RE.net : RE.net.has(name)) return;
    await new Promise((resolve, reject) => {
      const failed = () => reject(new Error(`net/${name}.js did not load`));
      if (!HERE) failed();
      else document.head.append(h("script", { src: new URL(`net/${name}.js`, HERE), onload: resolve, onerror: failed }));
    });
  }

  /** A figure that trains: it sleeps while nobody looks, and one figure of a page trains at a time. */
  class Trainer extends RE.Explorer {
    static active = null;

    watch() {
      this.near?.disconnect();
      // A busy page hands over several at once: far when it opened, near by now.
      this.near = new IntersectionObserver((entries) => {
        if (entries.some(({ isIntersecting }) => isIntersecting)) this.arrive?.();
      }, { rootMargin: "600px" });
      this.near.observe(this);
      this.sight?.disconnect();
      this.sight = new IntersectionObserver((entries) => {
        const seen = entries[entries.length - 1].isIntersecting;
        if (this.seen !== undefined && this.seen !== seen) this.sleep?.(!seen);
        this.seen = seen;
      });
      this.sight.observe(this);
    }

    /** Take the page's turn at training. */
    claim() {
      if (Trainer.active && Trainer.active !== this) Trainer.active.halt?.();
      Trainer.active = this;
    }

    disconnectedCallback() {
      super.disconnectedCallback();
      this.near?.disconnect();
      this.sight?.disconnect();
      this.halt?.();
    }
  }

  /* ---- charts ---------------------------------------------------------------------------------- */

  /** Round steps for an axis. */
  function ticks(low, high, count) {
    const raw = (high - low) / count;
    const power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= raw);
    const found = [];
    for (let at = Math.ceil(low / step) * step; at <= high + step / 1e6; at += step) found.push(Number(at.toPrecision(12)));
    return found;
  }

  /**
   * Lines and marks between two axes, drawn in pixels of its own.
   * x, y: {min, max, log, ticks: [[value, words]…], title}; series: [{name, color, dash, points: [[x, y]…], faint, mark, label}].
   */
  function chart(node, width, height, { x, y, series, words }) {
    const left = 46;
    const right = width - 12;
    const top = 26;
    const bottom = height - 36;
    const place = (axis, from, to) => (value) => {
      const f = axis.log ? Math.log10 : Number;
      return from + ((f(value) - f(axis.min)) / (f(axis.max) - f(axis.min) || 1)) * (to - from);
    };
    const px = place(x, left, right);
    const py = place(y, bottom, top);
    const parts = [svg("text", { x: 0, y: 13, class: "quiet" }, y.title)];
    for (const [value, text] of y.ticks) {
      const at = py(value);
      parts.push(svg("line", { x1: left, x2: right, y1: at, y2: at, class: "rule" }),
        svg("text", { x: left - 6, y: at + 4, "text-anchor": "end", class: "quiet" }, text));
    }
    for (const [value, text] of x.ticks) {
      parts.push(svg("text", { x: px(value), y: bottom + 17, "text-anchor": "middle", class: "quiet" }, text));
    }
    parts.push(svg("text", { x: right, y: height - 3, "text-anchor": "end", class: "quiet" }, x.title),
      svg("line", { x1: left, x2: right, y1: bottom, y2: bottom, stroke: "var(--edge)" }));
    const taken = [];
    for (const { color, dash, points, faint, mark, label } of series) {
      const shown = points.filter(([, v]) => Number.isFinite(v) && (!y.log || v > 0))
        .map(([u, v]) => [px(u), py(Math.min(Math.max(v, y.min), y.max))]);
      if (!shown.length) continue;
      if (mark) {
        for (const [u, v] of shown) {
          parts.push(mark === "square"
            ? svg("rect", { x: u - 4, y: v - 4, width: 8, height: 8, fill: "none", stroke: color, "stroke-width": 1.7 })
            : svg("circle", { cx: u, cy: v, r: 4.2, fill: "none", stroke: color, "stroke-width": 1.7 }));
        }
      } else {
        parts.push(svg("polyline", {
          points: shown.map(([u, v]) => `${u.toFixed(1)},${v.toFixed(1)}`).join(" "), fill: "none", stroke: color,
          "stroke-width": faint ? 1 : 2.4, "stroke-opacity": faint ? 0.35 : 1, "stroke-dasharray": dash, "stroke-linejoin": "round",
        }));
      }
      if (label) {
        // Beside the line's end, and never on another label.
        let at = Math.min(Math.max(shown[shown.length - 1][1] - 8, top + 8), bottom - 6);
        while (taken.some((other) => Math.abs(other - at) < 16)) at -= 16;
        taken.push(at);
        parts.push(svg("text", { x: Math.min(shown[shown.length - 1][0], right), y: at, "text-anchor": shown[shown.length - 1][0] > width / 2 ? "end" : "start", class: "label" }, label));
      }
    }
    set(node, { viewBox: `0 0 ${width} ${height}`, width, height, "aria-label": words });
    node.replaceChildren(...parts);
  }

  const LOOK = `
.rule { stroke: var(--rule); }
svg .label { font-weight: 650; paint-order: stroke; stroke: var(--page); stroke-width: 4px; stroke-linejoin: round; }
.panel { min-width: 0; }
.panel .name { font-size: 14px; font-weight: 650; margin: 0 0 .25rem; }
.panel svg { display: block; max-width: 100%; }
.button.main:hover:not(:disabled) { background: color-mix(in srgb, var(--ink) 82%, var(--page)); }
.row { display: flex; flex-wrap: wrap; gap: .5rem .75rem; align-items: center; }
.body { padding: 1rem 1.25rem 1.25rem; display: grid; gap: 1.1rem; }
.body .segments { align-self: start; }
.note { font-size: 13.5px; color: var(--muted); margin: 0; }
.say { margin: 0; min-height: 3.1em; }
.say:empty::before { content: "What comes out stands here."; color: var(--muted); }
details { border-top: 1px solid var(--rule); }
details > summary { cursor: pointer; padding: .7rem 1.25rem; min-height: 44px; }
details > div { padding: 0 1.25rem 1rem; }
details .controls { background: none; border: 0; padding: 0 0 .5rem; }
pre { margin: 0; padding: .75rem .9rem; background: var(--soft); border-radius: 8px; overflow-x: auto; direction: ltr; text-align: left; }
table { border-collapse: collapse; font-size: 13.5px; }
th, td { padding: .25rem .7rem .25rem 0; text-align: end; font-weight: 400; }
th:first-child, td:first-child { text-align: start; }
thead th { color: var(--muted); }
@container (max-width: 480px) { .body { padding: .75rem .9rem 1rem; } }
`;

  /** Copy text, and say that it was done. */
  function copyButton(text, words = "Copy") {
    const label = h("span", {}, words);
    return h("button", { type: "button", class: "button", onclick: async () => {
      let done = true;
      try {
        await navigator.clipboard.writeText(text());
      } catch {
        done = false;
      }
      label.textContent = done ? "Copied" : "Select the text and copy it";
      setTimeout(() => (label.textContent = words), 2000);
    } }, RE.icon("copy"), label);
  }

  /* ---- a network that is kept --------------------------------------------------------------------- */

  const STORE = "resnet-edu-network";
  const MADE = "resnet-edu network, version 1";

  /** A trained network as a text: its weights as float32, four bytes each, in base64. `about`: {words, test}. */
  function networkText({ config, tensors, values }, about) {
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    let letters = "";
    for (let at = 0; at < bytes.length; at += 4096) letters += String.fromCharCode(...bytes.subarray(at, at + 4096));
    return JSON.stringify({ made: MADE, ...about, config, tensors, values: btoa(letters) });
  }

  /** The same the other way: {words, test, config, tensors, values}. Throws an Error that says what the text is not. */
  function readNetwork(text) {
    let found = null;
    try {
      found = JSON.parse(text);
    } catch {
      // Told below.
    }
    if (found?.made !== MADE) throw new Error("This is not a network. Take the file that the race or the bench saves with “Save it as a file”.");
    try {
      const bytes = Uint8Array.from(atob(found.values), (letter) => letter.charCodeAt(0));
      const values = new Float32Array(bytes.buffer);
      const length = found.tensors.reduce((sum, [, shape]) => sum + shape.reduce((a, b) => a * b, 1), 0);
      if (length !== values.length || !Array.isArray(found.config.layers)) throw new Error();
      return { ...found, words: String(found.words).slice(0, 80), test: Number(found.test), values };
    } catch {
      throw new Error("This network is damaged. Save it again.");
    }
  }

  const kept = {
    /** The network that this browser keeps, or null. */
    read() {
      try {
        const text = localStorage.getItem(STORE);
        return text && readNetwork(text);
      } catch {
        return null; // storage that is closed, or holds something else
      }
    },
    /** Throws where the browser has no room or refuses. */
    keep: (network, about) => localStorage.setItem(STORE, networkText(network, about)),
    forget() {
      try {
        localStorage.removeItem(STORE);
      } catch {
        // There was nothing to forget.
      }
    },
  };

  /** A drawer with buttons that keep a trained network for the live figure: {node, set([[words, network, about]…])}. */
  function keeper(tell) {
    const row = h("div", { class: "row keeper" });
    let shown = null;
    const show = (networks, said, holds) => {
      shown = networks;
      const button = (words, act) => h("button", { type: "button", class: "button", onclick: act }, words);
      const answer = (words, now) => {
        show(networks, words, now);
        tell(words);
        row.querySelector("button").focus();
      };
      const keep = (network, about) => () => {
        try {
          kept.keep(network, about);
          answer(`Kept in this browser only: ${about.words}. The live network of chapter 14 can open it.`, true);
        } catch {
          answer("This browser keeps nothing here. Save the network as a file; chapter 14 opens that too.");
        }
      };
      const forget = () => {
        kept.forget();
        answer("Forgotten.");
      };
      if (!networks.length) said = "Train first. What was trained can be kept here, for the live network of chapter 14, or saved as a file.";
      row.replaceChildren(...[
        said && h("p", { class: "note" }, said),
        ...(holds ? [button("Forget it", forget)] : networks.map(([words, network, about]) => h("div", { class: "row" }, button(`Keep ${words}`, keep(network, about)),
          button("Save it as a file", () => RE.download(`${about.words.replace(/[^\w]+/g, "-")}.json`, "application/json", networkText(network, about)))))),
      ].filter(Boolean));
    };
    show([]);
    return {
      node: h("details", {}, h("summary", {}, "Keep a network"), h("div", {}, row)),
      set(networks) {
        if (shown.length === networks.length && networks.every(([, network], i) => network === shown[i][1])) return;
        show(networks);
      },
    };
  }

  Object.assign(RE, { kept, readNetwork, keeper, Trainer, ENGINE, engine, chart, ticks, copyButton, TRAINER_LOOK: LOOK, lineOf: line });
})(globalThis);
