/**
 * What the explorers share: making nodes, a few controls, one look, and a base class that keeps a
 * figure standing when its tag asks for something that cannot be.
 *
 * Text reaches the page through textContent and attributes only, never as markup.
 */
(function (root) {
  "use strict";
  const RE = root.ResnetEdu;
  if (RE.Explorer) return;

  /* ---- nodes --------------------------------------------------------------------------------- */

  const SVG = "http://www.w3.org/2000/svg";

  /** h("button", {type: "button", onclick: f}, "Play"): attributes, listeners for on…, children. */
  const h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
  const svg = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

  function fill(node, attributes, children) {
    for (const [name, value] of Object.entries(attributes || {})) {
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else if (value === true) node.setAttribute(name, "");
      else if (value !== false && value != null) node.setAttribute(name, value);
    }
    node.append(...children.flat().filter((child) => child != null));
    return node;
  }

  /** Change an attribute only where it differs: a figure on every input event has no time to waste. */
  function set(node, attributes) {
    for (const [name, value] of Object.entries(attributes)) {
      if (value === false || value == null) node.removeAttribute(name);
      else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value === true ? "" : value);
    }
  }

  const say = (node, text) => {
    if (node.textContent !== text) node.textContent = text;
  };

  /** Drawings of our own: an icon font would be a request, and signs like ⏸ turn into pictures on phones. */
  const ICONS = {
    back: "M11 3 4 8l7 5z",
    step: "M5 3l7 5-7 5z",
    play: "M4 2.5 13 8l-9 5.5z",
    pause: "M4 3h3v10H4zM9 3h3v10H9z",
    copy: "M5 5V2h9v9h-3M2 5h9v9H2z",
    minus: "M3 8h10",
    plus: "M3 8h10M8 3v10",
    open: "M6 3.5 10.5 8 6 12.5",
  };
  function icon(name) {
    const drawn = ["copy", "minus", "plus", "open"].includes(name);
    return svg("svg", { viewBox: "0 0 16 16", width: 16, height: 16, "aria-hidden": "true", class: `icon ${name}` },
      svg("path", drawn ? { d: ICONS[name], fill: "none", stroke: "currentColor", "stroke-width": 1.6 }
        : { d: ICONS[name], fill: "currentColor" }));
  }

  const pen = document.createElement("canvas").getContext("2d");
  /** How wide a figure's text will be, in pixels. */
  function textWidth(words, size = 12) {
    pen.font = `${size}px system-ui, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans", Arial, sans-serif`;
    return pen.measureText(words).width;
  }

  let count = 0;
  /** An id for a label and its control; each figure's shadow tree keeps them apart from the page's. */
  const freshId = () => `re-${++count}`;

  /* ---- controls: each is {node, set(value)} and calls back with the new value ----------------- */

  /** A whole number between two buttons, for small ranges. */
  function stepper(label, { min, max }, changed) {
    const id = freshId();
    const input = h("input", {
      id, type: "number", inputmode: "numeric", min, max, step: 1,
      oninput: () => {
        if (input.value !== "" && input.checkValidity()) changed(Number(input.value));
      },
      onchange: () => changed(clamp(Math.round(Number(input.value) || min), min, max)),
    });
    const by = (step) => () => changed(clamp(Math.round(Number(input.value) || min) + step, min, max));
    // Left out of the tab order: arrow keys in the field do the same.
    const button = (name, step, words) =>
      h("button", { type: "button", tabindex: -1, "aria-label": `${label}: ${words}`, onclick: by(step) }, icon(name));
    const less = button("minus", -1, "one less");
    const more = button("plus", 1, "one more");
    return {
      node: h("div", { class: "control" }, h("label", { for: id }, label), h("div", { class: "stepper" }, less, input, more)),
      set(value) {
        // A field that the reader is typing in keeps what it shows as long as it means the same number.
        if (Number(input.value) !== value || input.value === "") input.value = value;
        less.disabled = value <= min;
        more.disabled = value >= max;
      },
    };
  }

  /** A slider for the coarse and a field for the exact value; the field may go further than the slider. */
  function slider(label, { min, max, unit = "", coarse = max }, changed) {
    const id = freshId();
    const range = h("input", {
      id, type: "range", min, max: coarse, step: 1, "data-lm-suppress-shortcuts": "true",
      oninput: () => changed(Number(range.value)),
    });
    const field = h("input", {
      type: "number", inputmode: "numeric", min, max, step: 1, "aria-label": `${label}, exact${unit && `, in ${unit}`}`,
      oninput: () => {
        if (field.value !== "" && field.checkValidity()) changed(Number(field.value));
      },
      onchange: () => changed(clamp(Math.round(Number(field.value) || min), min, max)),
    });
    return {
      node: h("div", { class: "control slider" }, h("label", { for: id }, label), h("div", { class: "pair" }, range, field)),
      set(value) {
        if (Number(range.value) !== Math.min(value, coarse)) range.value = value;
        if (Number(field.value) !== value || field.value === "") field.value = value;
        set(range, { "aria-valuetext": unit ? `${value} ${unit}` : String(value) });
      },
    };
  }

  /** A row of radio buttons, for a few choices that deserve to be seen. options: [value, words, title?] */
  function choice(label, options, changed) {
    const name = freshId();
    const inputs = options.map(([value]) => h("input", { type: "radio", name, value, onchange: () => changed(value) }));
    const node = h("fieldset", { class: "control choice" },
      h("legend", {}, label),
      h("div", { class: "segments" },
        options.map(([, words, title], index) => h("label", { title }, inputs[index], h("span", {}, words)))));
    return {
      node,
      set(value, allowed = null) {
        for (const input of inputs) {
          input.checked = input.value === value;
          input.disabled = allowed !== null && !allowed.includes(input.value);
        }
      },
    };
  }

  /** A drop-down, for many choices. */
  function select(label, options, changed) {
    const id = freshId();
    const list = h("select", { id, onchange: () => changed(list.value) },
      options.map(([value, words]) => h("option", { value }, words)));
    return {
      node: h("div", { class: "control" }, h("label", { for: id }, label), list),
      set: (value) => (list.value = value),
    };
  }

  const clamp = (value, min, max) => Math.min(max, Math.max(min, value));

  /* ---- the look ------------------------------------------------------------------------------ */

  // Colors of rooms come from the palette's custom properties, as in every other picture; the
  // controls are ink on paper, so that the only colors are those that mean something.
  const LOOK = `
:host { display: block; container: figure / inline-size; }
:host([hidden]) { display: none; }
* { box-sizing: border-box; }
[hidden] { display: none !important; }
.card {
  --page: var(--re-page, #ffffff); --ink: var(--re-ink, #14161a);
  --muted: color-mix(in srgb, var(--ink) 70%, var(--page));
  --rule: color-mix(in srgb, var(--ink) 16%, var(--page));
  --edge: color-mix(in srgb, var(--ink) 52%, var(--page));
  --soft: var(--book-soft, color-mix(in srgb, var(--ink) 4.5%, var(--page)));
  --accent: var(--book-accent, var(--re-identity-line, #2488cf));
  --wrong: color-mix(in srgb, var(--re-error, #e8437f) 62%, var(--ink));
  --wrong-soft: color-mix(in srgb, var(--re-error, #e8437f) 12%, var(--page));
  font: 400 15px/1.45 system-ui, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans", Arial, sans-serif;
  color: var(--ink); background: var(--page); border: 1px solid var(--rule); border-radius: 8px;
  overflow: hidden; text-align: start; font-variant-numeric: tabular-nums;
  grid-area: 1 / 1; min-width: 0; display: flex; flex-direction: column;
  print-color-adjust: exact; /* on paper, too, what is chosen is light on dark */
}
.message { display: block; padding: 1rem 1.25rem; border-inline-start: 4px solid var(--re-error-line, #e8437f); }
.message p { margin: .35rem 0 0; }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.controls { display: flex; flex-wrap: wrap; gap: .75rem 1.25rem; padding: .9rem 1.25rem 1.1rem; background: var(--soft);
  border-bottom: 1px solid var(--rule); }
.control { display: flex; flex-direction: column; gap: .3rem; min-width: 0; border: 0; margin: 0; padding: 0; }
.control > label, legend, .caption { font-size: 13px; color: var(--muted); padding: 0; }
legend { margin-bottom: .3rem; }
.control.slider { flex: 1 1 13rem; }
.pair { display: flex; gap: .75rem; align-items: center; }
.pair input[type=range] { flex: 1; min-width: 0; }
input, select, button { font: inherit; color: inherit; margin: 0; }
input[type=number], select {
  height: 44px; background: var(--page); border: 1px solid var(--edge); border-radius: 8px; padding: 0 .6rem;
}
input[type=number] { width: 4.6rem; appearance: textfield; -moz-appearance: textfield; }
input[type=number]::-webkit-inner-spin-button { display: none; }
input[type=range] { appearance: none; -webkit-appearance: none; height: 44px; background: none; cursor: pointer; }
input[type=range]::-webkit-slider-runnable-track { height: 4px; border-radius: 2px; background: var(--edge); }
input[type=range]::-moz-range-track { height: 4px; border-radius: 2px; background: var(--edge); }
input[type=range]::-webkit-slider-thumb { -webkit-appearance: none; width: 20px; height: 20px; margin-top: -8px;
  border-radius: 50%; background: var(--ink); border: 3px solid var(--page); box-shadow: 0 0 0 1px var(--ink); }
input[type=range]::-moz-range-thumb { width: 14px; height: 14px; border-radius: 50%; background: var(--ink);
  border: 3px solid var(--page); box-shadow: 0 0 0 1px var(--ink); }
.stepper { display: inline-flex; box-shadow: inset 0 0 0 1px var(--edge); border-radius: 8px; background: var(--page); width: max-content; }
.stepper input { width: 2.9rem; border: 0; border-radius: 0; text-align: center; height: 44px; background: none; padding: 0; }
.stepper button { width: 44px; height: 44px; border: 0; background: none; display: grid; place-items: center; padding: 0; cursor: pointer; border-radius: 7px; }
.stepper button:hover:not(:disabled) { background: var(--soft); }
.stepper button:disabled { color: var(--rule); cursor: default; }
.segments { display: inline-flex; box-shadow: inset 0 0 0 1px var(--edge); border-radius: 8px; background: var(--page); }
.segments label { position: relative; display: grid; }
.segments input { position: absolute; inset: 0; width: 100%; height: 100%; opacity: 0; cursor: pointer; }
.segments span { display: grid; place-items: center; min-width: 44px; height: 44px; padding: 0 .65rem; border-radius: 8px; white-space: nowrap; }
.segments label:hover span { background: var(--soft); }
.segments input:checked + span { background: var(--ink); color: var(--page); }
.segments input:disabled { cursor: default; }
.segments input:disabled + span { color: var(--edge); background: none; }
.button { display: inline-flex; align-items: center; justify-content: center; gap: .45rem; height: 44px; padding: 0 .9rem; border: 1px solid var(--edge);
  border-radius: 8px; background: var(--page); cursor: pointer; white-space: nowrap; text-decoration: none; }
.button:hover, .button[aria-pressed=true] { background: var(--soft); }
.button[aria-pressed=true] { border-color: var(--ink); box-shadow: inset 0 0 0 1px var(--ink); }
.button.main { background: var(--ink); color: var(--page); border-color: var(--ink); }
.button.main:hover { background: color-mix(in srgb, var(--ink) 84%, var(--page)); }
.button:disabled, .button.main:disabled { background: none; color: var(--edge); border-color: var(--rule); cursor: default; }
.icon { display: block; flex: none; }
:focus { outline: none; }
:focus-visible, .segments input:focus-visible + span { outline: 3px solid var(--accent); outline-offset: 2px; }
svg text { font: 12px system-ui, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans", Arial, sans-serif; fill: var(--ink); font-variant-numeric: tabular-nums; }
svg .quiet { fill: var(--muted); }
.drawing { direction: ltr; position: relative; }
.drawing > svg { display: block; width: 100%; height: 100%; overflow: visible; }
.formula { direction: ltr; unicode-bidi: isolate; }
code, pre { font: 13px/1.5 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; }
@container (max-width: 480px) { .controls { padding: .75rem .9rem 1rem; gap: .75rem .9rem; } }
@media (forced-colors: active) {
  .segments input:checked + span, .button[aria-pressed=true] { outline: 2px solid Highlight; }
  .segments, .stepper { outline: 1px solid ButtonText; outline-offset: -1px; }
  input[type=range]::-webkit-slider-runnable-track { background: ButtonText; forced-color-adjust: none; }
  input[type=range]::-moz-range-track { background: ButtonText; forced-color-adjust: none; }
  input[type=range]::-webkit-slider-thumb { background: Highlight; border-color: Canvas; box-shadow: 0 0 0 1px ButtonText; forced-color-adjust: none; }
  input[type=range]::-moz-range-thumb { background: Highlight; border-color: Canvas; forced-color-adjust: none; }
}
@media (prefers-reduced-motion: no-preference) { .glide, .glide path { transition: d .2s ease-out, transform .2s ease-out; } }
`;

  const sheets = new Map();
  function sheet(css) {
    if (!sheets.has(css)) {
      const made = new CSSStyleSheet();
      made.replaceSync(css);
      sheets.set(css, made);
    }
    return sheets.get(css);
  }

  /* ---- the base of every explorer ------------------------------------------------------------- */

  // What any HTML element may carry; every other attribute must be one that the figure knows.
  const GLOBAL = /^(id|class|style|title|lang|dir|hidden|role|slot|part|tabindex|translate|data-.*|aria-.*)$/;

  /**
   * A figure with a state. A subclass gives `static fields` (attribute → {is, value}) and
   * `static look`, builds its nodes once in build(), and shows this.state in render().
   */
  class Explorer extends HTMLElement {
    static get observedAttributes() {
      return Object.keys(this.fields);
    }

    connectedCallback() {
      if (!this.shadowRoot) {
        this.attachShadow({ mode: "open" }).adoptedStyleSheets = [sheet(LOOK), sheet(this.constructor.look)];
        // In JupyterLab a key pressed in a figure must not delete the cell that holds it.
        this.setAttribute("data-lm-suppress-shortcuts", "true");
      }
      this.start();
    }

    disconnectedCallback() {
      this.resizes?.disconnect();
      cancelAnimationFrame(this.frame);
      clearTimeout(this.telling);
      this.frame = null;
    }

    attributeChangedCallback() {
      if (this.shadowRoot && this.isConnected) this.start();
    }

    start() {
      this.disconnectedCallback();
      try {
        this.state = this.read();
        this.check(this.state);
      } catch (error) {
        if (!(error instanceof RE.SettingError)) throw error;
        this.refuse(error.message);
        return;
      }
      this.live = h("div", { class: "hidden", role: "status" });
      const card = h("div", { class: "card" });
      this.shadowRoot.replaceChildren(card);
      this.build(card);
      card.append(this.live);
      this.render();
      // Text is drawn in pixels of its own, so a new width is a new drawing.
      let width = this.clientWidth;
      this.resizes = new ResizeObserver(() => {
        if (this.clientWidth !== width) this.later();
        width = this.clientWidth;
      });
      this.resizes.observe(this);
    }

    /** The state that the tag asks for. */
    read() {
      const { fields } = this.constructor;
      for (const name of this.getAttributeNames()) {
        if (!GLOBAL.test(name) && !(name in fields)) {
          throw new RE.SettingError(`There is no attribute “${name}”. There are ${Object.keys(fields).join(", ")}.`);
        }
      }
      const state = {};
      for (const [name, { is, value }] of Object.entries(fields)) {
        state[camel(name)] = this.hasAttribute(name) ? is(name, this.getAttribute(name)) : value;
      }
      return state;
    }

    /** Throws a SettingError where attributes that are fine alone do not go together. */
    check() {}

    /** The message in place of the figure; the static picture, if the tag holds one, stays below it. */
    refuse(message) {
      this.shadowRoot.replaceChildren(
        h("div", { class: "card message", role: "note" },
          h("strong", {}, `<${this.localName}> cannot show this.`), h("p", {}, message)),
        h("slot"));
    }

    /** Change the state and show it in the next frame, however many events come before that. */
    update(changes) {
      Object.assign(this.state, changes);
      this.later();
    }

    later() {
      this.frame ??= requestAnimationFrame(() => {
        this.frame = null;
        this.render();
      });
    }

    /** Say a result to screen readers once the reader pauses, not at every step of a slider. */
    tell(text) {
      clearTimeout(this.telling);
      this.telling = setTimeout(() => say(this.live, text), 400);
    }
  }

  /** A drawing narrower than this is not on show: its tab is hidden, or its frame has no size yet. */
  const NARROWEST = 120;

  const camel = (name) => name.replace(/-(.)/g, (_, letter) => letter.toUpperCase());

  /** An attribute that is a whole number of a range. */
  const whole = (min, max) => (name, text) => {
    const value = Number(text);
    if (text.trim() === "" || !Number.isInteger(value) || value < min || value > max) {
      throw new RE.SettingError(`${name} must be a whole number from ${min} to ${max}, got “${text}”.`);
    }
    return value;
  };

  /** An attribute that is one of a few words. */
  const oneOf = (...words) => (name, text) => {
    if (!words.includes(text)) throw new RE.SettingError(`${name} must be one of ${words.join(", ")}, got “${text}”.`);
    return text;
  };

  /** Hand the reader a file. */
  function download(name, type, text) {
    const address = URL.createObjectURL(new Blob([text], { type }));
    h("a", { href: address, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(address), 1000);
  }

  /** Define a tag once: a second output in the same notebook brings its script again. */
  function define(tag, made) {
    if (!customElements.get(tag)) customElements.define(tag, made);
  }

  /** The colors of a room, as in resnet_edu.drawing.palette: fill, ink on it, and line. */
  const COLORS = {
    image: ["#c4cfd8", "#14161a", "#6f8596"],
    stem: ["#e3982f", "#14161a", "#c47410"],
    layer1: ["#f5f0a0", "#14161a", "#8f8a1a"],
    layer2: ["#62b89c", "#14161a", "#2f9474"],
    layer3: ["#5888c2", "#14161a", "#4a8ac4"],
    layer4: ["#5c48a2", "#ffffff", "#8a78d6"],
    head: ["#b04e66", "#ffffff", "#d0607c"],
    identity: ["#2488cf", "#14161a", "#2488cf"],
    projection: ["#ad7a00", "#14161a", "#ad7a00"],
    "zero-pad": ["#9085a8", "#14161a", "#9085a8"],
    error: ["#e8437f", "#14161a", "#e8437f"],
    first: ["#308f9e", "#14161a", "#308f9e"],
    second: ["#cc45d9", "#14161a", "#cc45d9"],
    third: ["#7c945a", "#14161a", "#7c945a"],
  };
  const color = (name) => `var(--re-${name}, ${COLORS[name][0]})`;
  const inkOn = (name) => `var(--re-${name}-ink, ${COLORS[name][1]})`;
  const line = (name) => `var(--re-${name}-line, ${COLORS[name][2]})`;

  Object.assign(RE, {
    Explorer, h, svg, set, say, icon, stepper, slider, choice, select, clamp, whole, oneOf, define, download, NARROWEST, textWidth, color, inkOn, line, COLORS,
  });
})(globalThis);
