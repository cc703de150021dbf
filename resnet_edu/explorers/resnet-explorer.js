/**
 * <resnet-explorer model="resnet50" image="224" versus="resnet18">: a whole network, or two side by
 * side, as boxes to scale and as a table of the same Steps. The page's address keeps the state.
 */
(function (root) {
  "use strict";
  const RE = root.ResnetEdu;
  const { h, svg, set, say, icon, stepper, slider, select, choice, clamp, whole, oneOf, color, line, grouped, short, shapeText } = RE;

  const NETWORKS = [
    ...[18, 34, 50, 101, 152].map((depth) => [`resnet${depth}`, `ResNet-${depth}`]),
    ["plain18", "Plain-18, no shortcuts"], ["plain34", "Plain-34, no shortcuts"],
    ["cifar", "CIFAR, 6n + 2"], ["cifar_plain", "CIFAR plain, 6n + 2"],
  ];
  const SIZES = [1, 1024];
  const CLASSES = [1, 100000];
  const LARGEST_N = 300;
  // As in resnet_edu.drawing.volumes: how far a pixel to the back goes right and up, and what could not be seen.
  const BACK = [0.42, 0.26];
  const THINNEST = 2.5;

  const LOOK = `
.panes { flex: 1; display: grid; grid-template-columns: minmax(0, 1fr); }
.pane { container-type: inline-size; min-width: 0; display: flex; flex-direction: column; }
.pane + .pane { border-top: 6px solid var(--rule); }
.refused { margin: 0; padding: .9rem 1.25rem; background: var(--wrong-soft); color: var(--wrong); }
.totals { display: grid; grid-template-columns: repeat(3, auto) 1fr; gap: 0 2.2rem; margin: 0; padding: 1rem 1.25rem .25rem; }
.totals div, .facts dl div { display: flex; flex-direction: column; }
dt { font-size: 13px; color: var(--muted); } dd { margin: 0; }
.totals dd { font-size: 1.35rem; font-weight: 600; letter-spacing: -.01em; line-height: 1.3; white-space: nowrap; }
.drawing { height: 236px; margin: .25rem 1.25rem 0; }
.room { cursor: pointer; }
.room:focus { outline: none; }
.room .glow { fill: none; stroke: none; }
.room.on .glow { stroke: var(--ink); stroke-width: 2.2; }
.room:focus-visible .glow { stroke: var(--accent); stroke-width: 4; }
.scale { font-size: 12.5px; color: var(--muted); margin: 0; padding: 0 1.25rem .6rem; min-height: 1.5em; }
.facts { border-block: 1px solid var(--rule); background: var(--soft); padding: .7rem 1.25rem .8rem; min-height: 6.5rem; }
.facts .name-of { font-size: 15px; font-weight: 650; margin: 0 0 .45rem; display: flex; gap: .6rem; align-items: baseline; }
.facts .name-of::before { content: ""; width: 12px; height: 12px; border-radius: 3px; background: var(--room); border: 1px solid var(--room-line); align-self: center; }
.facts .name-of span { font-weight: 400; color: var(--muted); }
.facts dl { display: grid; grid-template-columns: repeat(5, minmax(0, auto)); justify-content: space-between; gap: .3rem 1rem; margin: 0; }
.facts small { display: block; font-size: 12.5px; color: var(--muted); }
.rows { flex: 1 0 auto; min-height: 19.4rem; max-height: 32rem; overflow: auto; overscroll-behavior: contain; }
:host([open]) .rows { min-height: 32rem; }
table { border-collapse: collapse; width: 100%; font-size: 14px; }
th, td { padding: .3rem .5rem; text-align: end; white-space: nowrap; font-weight: 400; height: 40px; }
th:first-child { text-align: start; padding-inline-start: 1.25rem; }
td:last-child, thead th:last-child { padding-inline-end: 1.25rem; }
thead th { position: sticky; top: 0; z-index: 1; background: var(--page); color: var(--muted); font-size: 13px; line-height: 1.2; white-space: normal; box-shadow: inset 0 -1px var(--rule); height: 42px; }
tbody tr + tr > * { border-top: 1px solid color-mix(in srgb, var(--rule) 55%, transparent); }
tbody tr.on > * { background: var(--soft); }
tbody th { padding-block: 0; }
tbody th[style] { padding-inline-start: calc(1.25rem + var(--level) * 1.1rem); }
.name { display: inline-flex; align-items: center; gap: .45rem; min-height: 40px; padding: 0 .5rem 0 0; border: 0; background: none; cursor: pointer; border-radius: 6px; text-align: start; }
.name .dot { width: 10px; height: 10px; border-radius: 3px; background: var(--room); border: 1px solid var(--room-line); flex: none; }
.name .icon { width: 12px; height: 12px; transition: none; }
.name[aria-expanded=true] .icon { transform: rotate(90deg); }
:dir(rtl) .name[aria-expanded=false] .icon { transform: rotate(180deg); }
span.name { cursor: default; padding-inline-start: calc(12px + .45rem); }
.name small { color: var(--muted); font-size: 13px; }
td.bar { position: relative; }
td.bar::after { content: ""; position: absolute; inset-inline-end: .5rem; bottom: 4px; height: 3px; border-radius: 2px; width: calc(var(--share) * (100% - 1rem)); background: var(--room-line); }
.brief { display: none; }
.card.cover { border: 0; background: none; border-radius: 0; overflow: visible; }
.cover .drawing { height: clamp(200px, 30cqi, 280px); margin: 0; }
.cover .scale { padding: .25rem 0 .75rem; }
.cover .controls { background: none; border: 0; padding: 0; align-items: end; }
.cover .room.on:not(:focus-visible, :hover) .glow { stroke: none; }
.line { margin: .75rem 0 0; font-size: 1.2rem; font-weight: 600; letter-spacing: -.01em; }
.doors { display: none; list-style: none; margin: .75rem 0 0; padding: 0; }
.doors a { display: flex; align-items: center; gap: .6rem; min-height: 44px; padding: 0 .25rem; border-top: 1px solid var(--rule); color: var(--ink); text-decoration: none; }
.doors a:hover { background: var(--soft); }
.doors .dot { width: 12px; height: 12px; border-radius: 3px; background: var(--room); border: 1px solid var(--room-line); forced-color-adjust: none; }
.doors .shape { margin-inline-start: auto; color: var(--muted); font-size: 14px; }
.python { display: flex; gap: .75rem; align-items: center; padding: .7rem 1.25rem; border-top: 1px solid var(--rule); }
textarea { flex: 1; min-width: 0; height: 3.1rem; resize: none; border: 0; margin: 0; padding: .1rem 0; background: none; color: inherit; white-space: pre; overflow: auto hidden;
  font: 13px/1.55 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; direction: ltr; }
.actions { display: flex; flex-wrap: wrap; align-items: center; gap: .6rem 1rem; padding: .8rem 1.25rem; border-top: 1px solid var(--rule); background: var(--soft); }
.actions p { margin: 0; font-size: 14px; }
.actions .compared { flex: 1 1 100%; }
.actions p:empty { display: none; }
@container (min-width: 700px) {
  .panes.two { grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); }
  .two .pane + .pane { border-top: 0; border-inline-start: 1px solid var(--rule); }
}
/* A control that one of two networks does not have keeps its place, so that what is compared stands at one height. */
@container figure (min-width: 700px) { .two .control[hidden] { display: flex !important; visibility: hidden; } }
@container (max-width: 560px) {
  .totals { grid-template-columns: auto auto; gap: .4rem 1.5rem; padding: .8rem .9rem .25rem; }
  .totals dd { font-size: 1.15rem; }
  .drawing { height: 190px; margin-inline: .9rem; }
  .scale, .facts { padding-inline: .9rem; }
  .scale { min-height: 3em; }
  .facts dl { grid-template-columns: 1fr 1fr; }
  .facts { min-height: 12.4rem; }
  td:last-child, thead th:last-child { display: none; }
  svg text { font-size: 11px; }
  .python { flex-direction: column; align-items: stretch; gap: .5rem; }
  .python textarea { flex: none; }
  .exact { display: none; }
  .brief { display: inline; }
  th, td { padding-inline: .3rem; height: 44px; }
  th:first-child { padding-inline-start: .7rem; }
  span.name { padding-inline-start: 0; }
  tbody th[style] { padding-inline-start: calc(.7rem + var(--level) * .35rem); }
  td:nth-child(4), thead th:nth-child(4) { padding-inline-end: .9rem; }
  td.bar::after { inset-inline-end: .3rem; width: calc(var(--share) * (100% - .6rem)); }
  td.bar:nth-child(4)::after { inset-inline-end: .9rem; width: calc(var(--share) * (100% - 1.2rem)); }
  .name { min-height: 44px; gap: .35rem; }
  .name small { display: none; }
  span.name span:not(.dot) { white-space: normal; overflow-wrap: anywhere; max-width: 5.4rem; line-height: 1.15; }
  table { font-size: 13px; }
  thead th { font-size: 12px; }
  .python { padding-inline: .9rem; }
  .controls .control { flex: 1 1 auto; }
  .controls .slider { flex-basis: 100%; }
  .controls .segments { display: flex; }
  .controls .segments label { flex: 1; }
  .controls .network { flex: 1 1 11rem; }
  .controls select { width: 100%; }
  .cover .drawing { height: 126px; margin: 0; }
  .cover .scale { min-height: 0; padding-inline: 0; }
  .line { font-size: 1.05rem; }
  .doors { display: block; }
}
@container (max-width: 480px) {
  .actions { padding-inline: .9rem; }
  .actions p { flex-basis: 100%; }
  .actions .button { flex: 1; padding: 0 .5rem; }
}
`;

  /* ---- one network as text: in the address, and on the tag -------------------------------------- */

  const family = (model) => /^\D+/.exec(model)[0].replace(/_$/, "");
  const isCifar = (model) => family(model).startsWith("cifar");
  const title = (model) => {
    const [, words] = NETWORKS.find(([name]) => name === model) || NETWORKS.find(([name]) => name === family(model));
    return words.split(",")[0].replace(/^CIFAR$/, "CIFAR ResNet") + (isCifar(model) ? `-${/\d+$/.exec(model)[0]}` : "");
  };

  /** The settings that a name comes with. */
  function own(model) {
    const plan = RE.recipe(model);
    return {
      model: model.replace(/_?(\d+)$/, "$1"), image: isCifar(model) ? 32 : 224, stem: plan.stem,
      shortcut: plan.shortcut === "none" ? "B" : plan.shortcut, strideIn: "3x3", classes: plan.num_classes, open: [],
    };
  }

  const rooms = (name, text) => {
    const list = text.split(/[\s+]+/).filter(Boolean);
    for (const room of list) {
      if (!/^(stem|head|layer\d+(\.\d+)?)$/.test(room)) {
        throw new RE.SettingError(`${name} must list rooms such as stem, layer2 or layer2.0, got “${room}”.`);
      }
    }
    return list;
  };
  const network = (name, text) => {
    RE.recipe(text);
    return text.replace(/_?(\d+)$/, "$1");
  };
  const FIELDS = {
    model: { is: network, value: "resnet50" },
    image: { is: whole(...SIZES) },
    stem: { is: oneOf("imagenet", "cifar") },
    shortcut: { is: oneOf("A", "B", "C") },
    "stride-in": { is: oneOf("3x3", "1x1") },
    classes: { is: whole(...CLASSES) },
    open: { is: rooms },
    versus: { is: network },
    address: { is: oneOf("on", "off"), value: "on" },
    cover: { is: (name, text) => Object.fromEntries(text.split(/\s+/).filter(Boolean).map((pair) => pair.split(/:(.*)/s).slice(0, 2))) },
  };
  const SHORT = { image: "image", stem: "stem", shortcut: "shortcut", strideIn: "stride-in", classes: "classes", open: "open" };

  /** "resnet50,image:160,open:layer1+layer2": the name, then what differs from the name's own. */
  function written(settings) {
    const usual = own(settings.model);
    const parts = [settings.model];
    for (const [key, name] of Object.entries(SHORT)) {
      const value = key === "open" ? settings.open.join("+") : settings[key];
      if (String(value) !== String(key === "open" ? "" : usual[key])) parts.push(`${name}:${value}`);
    }
    return parts.join(",");
  }

  function readBack(text) {
    const [model, ...parts] = text.split(",");
    const settings = own(network("model", model));
    for (const part of parts) {
      const [name, value = ""] = part.split(":");
      const key = Object.keys(SHORT).find((k) => SHORT[k] === name);
      if (!key) throw new RE.SettingError(`“${name}” is no setting; there are ${Object.values(SHORT).join(", ")}.`);
      settings[key] = FIELDS[name].is(name, value);
    }
    return settings;
  }

  const changesOf = ({ stem, shortcut, strideIn, classes }) => ({ stem, shortcut, stride_in: strideIn, num_classes: classes });

  /** Rows by layer, each with its blocks or operations as children, each with a key of its own. */
  function tree(steps) {
    const level = (rows, name, of) => {
      const groups = [];
      for (const row of rows) {
        const key = of(row.room);
        if (!groups.length || groups[groups.length - 1].key !== key) groups.push({ key, rows: [] });
        groups[groups.length - 1].rows.push(row);
      }
      return groups.map((group) => ({ ...group, step: name(group.rows)[0] }));
    };
    const leaves = (rows, key) => rows.map((step, index) => ({ key: `${key}/${index}`, step, name: step.room.split(".").slice(2).join(".") || step.room }));
    return level(steps, RE.byLayer, RE.layerOf).map((layer) => {
      const inside = layer.key.startsWith("layer")
        ? level(layer.rows, RE.byBlock, RE.blockOf).map((block) => ({
          ...block, name: block.key, children: leaves(block.rows, block.key),
        }))
        : leaves(layer.rows, layer.key);
      return { ...layer, name: layer.key, children: inside };
    });
  }

  /** A fifth layer starts again with the first one's color. */
  const paintOf = (room) => {
    const layer = RE.layerOf(room);
    const number = /^layer(\d+)$/.exec(layer);
    return number ? `layer${((number[1] - 1) % 4) + 1}` : layer;
  };

  /* ---- one network on the page ------------------------------------------------------------------ */

  class Pane {
    constructor(explorer, settings) {
      this.explorer = explorer;
      this.settings = settings;
      this.selected = "stem";
      this.boxes = new Map();
      this.lines = new Map();
      const change = (name) => (value) => this.change({ [name]: value });
      this.controls = {
        network: select("Network", NETWORKS, (name) => this.choose(name)),
        n: stepper("n", { min: 1, max: LARGEST_N }, (n) => this.change({ model: `${family(this.settings.model)}${6 * n + 2}` })),
        image: slider("Image size", { min: SIZES[0], max: SIZES[1], coarse: 320, unit: "pixels" }, change("image")),
        stem: choice("Stem", [["imagenet", "7×7/2", "7×7 convolution with stride 2, then a max-pool"], ["cifar", "3×3", "3×3 convolution, no pooling"]], change("stem")),
        shortcut: choice("Shortcut", [["A", "A", "zero-padding where shapes differ"], ["B", "B", "projection where shapes differ"],
          ["C", "C", "projection everywhere"]], change("shortcut")),
        strideIn: choice("Stride in the", [["3x3", "3×3"], ["1x1", "1×1"]], change("strideIn")),
        classes: this.classes(),
      };
      this.controls.network.node.classList.add("network");
      this.controls.strideIn.node.title = "Only a bottleneck has the choice: its 1×1 in the paper, its 3×3 in torchvision";
      this.refused = h("p", { class: "refused", hidden: true });
      const fact = (words) => {
        const value = h("dd", {});
        return { value, node: h("div", {}, h("dt", {}, words), value) };
      };
      this.totals = { depth: fact("Weighted layers"), parameters: fact("Parameters"), multiplyAdds: fact("Multiply-adds"), last: fact("Last map") };
      this.svg = svg("svg", { role: "group", onkeydown: (event) => this.walk(event) });
      // What is written below the boxes is in the names of their buttons.
      this.words = svg("g", { "aria-hidden": "true", class: "words" });
      this.drawing = h("div", { class: "drawing" }, this.svg);
      this.scale = h("p", { class: "scale" });
      this.heading = h("div", { class: "name-of" });
      this.facts = { input: fact("Input"), output: fact("Output"), parameters: fact("Parameters"), multiplyAdds: fact("Multiply-adds"), field: fact("Receptive field") };
      this.body = h("tbody", {});
      this.code = h("textarea", { readonly: true, rows: 2, spellcheck: "false", "aria-label": "Python that builds this network" });
      const copy = h("button", { type: "button", class: "button", onclick: () => this.copy() }, icon("copy"), "Copy as Python");
      this.table = h("table", {},
        h("thead", {}, h("tr", {}, [["Room"], ["Output"], ["Parameters"], ["Multiply-adds", "Mult-adds"], ["Receptive field"]].map(([words, less]) =>
          h("th", { scope: "col" }, h("span", less ? { class: "exact" } : {}, words), less ? h("span", { class: "brief" }, less) : null)))), this.body);
      this.rowsBox = h("div", { class: "rows", tabindex: 0, role: "group" }, this.table);
      this.dl = h("dl", {}, Object.values(this.facts).map(({ node }) => node));
      this.inner = [
        h("dl", { class: "totals" }, Object.values(this.totals).map(({ node }) => node)),
        this.drawing, this.scale,
        h("div", { class: "facts" }, this.heading, this.dl),
        this.rowsBox,
        h("div", { class: "python" }, this.code, copy),
      ];
      this.node = h("section", { class: "pane" },
        h("div", { class: "controls" }, Object.values(this.controls).map(({ node }) => node)), this.refused, this.inner);
    }

    classes() {
      const id = "classes";
      const input = h("input", {
        id, type: "number", inputmode: "numeric", min: CLASSES[0], max: CLASSES[1], step: 1,
        oninput: () => input.checkValidity() && input.value !== "" && this.change({ classes: Number(input.value) }),
        onchange: () => this.change({ classes: clamp(Math.round(Number(input.value)) || 1, ...CLASSES) }),
      });
      // Two panes live in one shadow tree, so the label holds its field.
      input.removeAttribute("id");
      return {
        node: h("label", { class: "control" }, h("span", { class: "caption" }, "Classes"), input),
        set: (value) => Number(input.value) !== value && (input.value = value),
      };
    }

    /** Another family brings its own image, stem, shortcuts and classes; within one the reader's stay. */
    choose(name) {
      const model = name.startsWith("cifar") ? `${name}20` : name;
      const before = this.settings;
      const crossing = isCifar(model) !== isCifar(before.model);
      this.change(crossing ? own(model) : { model: name.startsWith("cifar") ? before.model.replace(/^\D+/, name) : model, open: [] });
    }

    change(changes) {
      Object.assign(this.settings, changes);
      this.explorer.changed();
    }

    /* ---- reading the state --------------------------------------------------------------------- */

    compute() {
      const { model, image, open } = this.settings;
      this.error = null;
      try {
        this.plan = RE.recipe(model, changesOf(this.settings));
        this.steps = RE.steps(this.plan, [3, image, image]);
      } catch (error) {
        if (!(error instanceof RE.SettingError)) throw error;
        this.error = error.message;
        return;
      }
      this.sum = RE.total(this.steps);
      this.tree = tree(this.steps);
      // What is open draws and lists its children instead of itself.
      this.visible = [];
      this.leaves = [{ key: "image", name: "image", step: { room: "image", operation: "input", input: [3, image, image], output: [3, image, image], parameters: 0, multiplyAdds: 0, receptiveField: 1 } }];
      const walk = (nodes, level) => {
        for (const node of nodes) {
          const isOpen = Boolean(node.children) && open.includes(node.key);
          this.visible.push({ node, level, isOpen });
          if (isOpen) walk(node.children, level + 1);
          else this.leaves.push(node);
        }
      };
      walk(this.tree, 0);
      const keys = [...this.leaves, ...this.visible.map(({ node }) => node)];
      this.current = keys.find(({ key }) => key === this.selected) || this.leaves[1];
      this.selected = this.current.key;
    }

    toggle(key) {
      const open = new Set(this.settings.open);
      if (open.has(key)) {
        for (const inside of [...open]) if (inside === key || inside.startsWith(`${key}.`)) open.delete(inside);
      } else {
        open.add(key);
      }
      this.change({ open: [...open] });
    }

    select(key) {
      if (this.selected === key) return;
      this.selected = key;
      this.explorer.later();
    }

    /* ---- showing ------------------------------------------------------------------------------- */

    measure() {
      this.width = this.drawing.clientWidth;
      this.height = this.drawing.clientHeight;
    }

    render(scale) {
      const { settings, controls } = this;
      const cifar = isCifar(settings.model);
      controls.network.set(cifar ? family(settings.model) : settings.model);
      set(controls.n.node, { hidden: !cifar });
      if (cifar) controls.n.set((Number(/\d+$/.exec(settings.model)[0]) - 2) / 6);
      controls.image.set(settings.image);
      controls.stem.set(settings.stem);
      const plain = family(settings.model).endsWith("plain");
      controls.shortcut.set(settings.shortcut);
      set(controls.shortcut.node, { hidden: plain });
      const bottleneck = ["resnet50", "resnet101", "resnet152"].includes(settings.model);
      controls.strideIn.set(settings.strideIn);
      set(controls.strideIn.node, { hidden: !bottleneck });
      controls.classes.set(settings.classes);

      set(this.refused, { hidden: !this.error });
      for (const node of this.inner) set(node, { hidden: Boolean(this.error) });
      const name = title(settings.model);
      set(this.node, { "aria-label": name });
      if (this.error) {
        say(this.refused, `This network cannot run: ${this.error}.`);
        return;
      }
      say(this.totals.depth.value, String(RE.depthOf(this.plan)));
      say(this.totals.parameters.value, grouped(this.sum.parameters));
      say(this.totals.multiplyAdds.value, short(this.sum.multiplyAdds));
      set(this.totals.multiplyAdds.value, { title: grouped(this.sum.multiplyAdds) });
      say(this.totals.last.value, shapeText(this.tree[this.tree.length - 2].step.output));
      this.code.value = RE.toPython({ model: settings.model, ...changesOf(settings) });
      set(this.rowsBox, { "aria-label": `Steps of ${name}` });
      set(this.svg, { "aria-label": `${name} as boxes to scale. Arrow keys walk through the rooms, Enter opens ${this.explorer.links ? "the chapter of one" : "one"}.` });
      this.describe();
      this.list();
      if (this.width > RE.NARROWEST) this.draw(scale);
    }

    describe() {
      const { step, name, children, rows } = this.current;
      const paint = step.room === "image" ? "image" : paintOf(step.room);
      set(this.heading, { style: `--room:${color(paint)};--room-line:${line(paint)}` });
      const words = rows && RE.layerOf(step.room) === this.current.key && children && children[0].children
        ? `${children.length} block${children.length > 1 ? "s" : ""}, ${rows.length} operations` : step.operation;
      const text = `${step.room === "image" ? "image" : rows ? name : step.room} ${words}`;
      if (this.heading.textContent !== text) {
        this.heading.replaceChildren(`${step.room === "image" ? "image" : rows ? name : step.room} `, h("span", {}, words));
      }
      const share = (part, all) => !part ? "none" : `${part / all < 0.001 ? "under 0.1" : ((100 * part) / all).toFixed(part / all < 0.1 ? 1 : 0)} % of all`;
      const image = this.settings.image;
      this.fact("input", shapeText(step.input), "");
      this.fact("output", shapeText(step.output), step.room === "head" || step.room === "fc" ? "scores" : "");
      this.fact("parameters", grouped(step.parameters), share(step.parameters, this.sum.parameters));
      this.fact("multiplyAdds", grouped(step.multiplyAdds), share(step.multiplyAdds, this.sum.multiplyAdds));
      this.fact("field", `${grouped(step.receptiveField)} pixel${step.receptiveField > 1 ? "s" : ""}`,
        step.receptiveField > image ? "more than the image has" : `of ${image} a side`);
    }

    fact(name, value, more) {
      const { value: node } = this.facts[name];
      if (node.textContent !== value + more) node.replaceChildren(value, h("small", {}, more));
    }

    list() {
      const wanted = [];
      const used = new Set();
      const most = (key) => Math.max(...this.visible.map(({ node }) => node.step[key]), 1);
      const [mostParameters, mostAdds] = [most("parameters"), most("multiplyAdds")];
      for (const { node, level, isOpen } of this.visible) {
        used.add(node.key);
        let row = this.lines.get(node.key);
        if (!row) this.lines.set(node.key, (row = this.line(node, level)));
        const { step } = node;
        say(row.operation, node.children ? "" : step.operation);
        say(row.output, shapeText(step.output));
        for (const [cell, value, all] of [[row.parameters, step.parameters, mostParameters], [row.multiplyAdds, step.multiplyAdds, mostAdds]]) {
          say(cell.exact, grouped(value));
          say(cell.brief, short(value));
          cell.node.style.setProperty("--share", (value / all).toFixed(4));
        }
        say(row.field, grouped(step.receptiveField));
        if (node.children) set(row.button, { "aria-expanded": String(isOpen) });
        row.node.classList.toggle("on", node.key === this.selected);
        wanted.push(row.node);
      }
      for (const key of this.lines.keys()) if (!used.has(key)) this.lines.delete(key);
      // Leave the nodes where they are if the rows are the same: moving them would lose the focus.
      const now = this.body.children;
      if (now.length !== wanted.length || wanted.some((node, i) => now[i] !== node)) {
        const focused = this.body.getRootNode().activeElement;
        this.body.replaceChildren(...wanted);
        if (focused && this.body.contains(focused)) focused.focus({ preventScroll: true });
      }
    }

    line(node, level) {
      const paint = paintOf(node.step.room);
      const operation = h("small", {});
      const label = [h("span", { class: "dot" }), h("span", {}, node.name), operation];
      const button = node.children
        ? h("button", { type: "button", class: "name", onclick: () => this.toggle(node.key) }, icon("open"), label)
        : h("span", { class: "name" }, label);
      const number = () => {
        const exact = h("span", { class: "exact" });
        const brief = h("span", { class: "brief" });
        return { exact, brief, node: h("td", { class: "bar" }, exact, brief) };
      };
      const row = { button, operation, output: h("td", {}), parameters: number(), multiplyAdds: number(), field: h("td", {}) };
      const pick = () => this.select(node.key);
      row.node = h("tr", { style: `--room:${color(paint)};--room-line:${line(paint)}`, onpointerenter: pick, onfocusin: pick, onclick: pick },
        h("th", { scope: "row", style: `--level:${level}` }, button), row.output, row.parameters.node, row.multiplyAdds.node, row.field);
      return row;
    }

    /** Boxes as high and deep as the map, as long as its channels; {pixel, channel} is shared by both panes. */
    draw({ pixel, per }) {
      const { width, height } = this;
      const room = height - 36; // two lines of labels below
      const { leaves } = this;
      const spots = layout(leaves, width, pixel, pixel / per);
      set(this.svg, { viewBox: `0 0 ${width} ${height}` });
      const used = new Set();
      const nodes = [];
      const words = [];
      const labels = this.labels(spots);
      leaves.forEach((leaf, index) => {
        used.add(leaf.key);
        let box = this.boxes.get(leaf.key);
        if (!box) this.boxes.set(leaf.key, (box = this.box(leaf)));
        const { x, column, length, tall, right, up } = spots[index];
        const bottom = (room + tall + up) / 2;
        const r = (value) => Math.round(value * 10) / 10;
        const [x0, x1, y0, y1] = [r(x), r(x + length), r(bottom - tall), r(bottom)];
        set(box.front, { d: `M${x0} ${y0}H${x1}V${y1}H${x0}z` });
        set(box.top, { d: `M${x0} ${y0}l${r(right)} ${r(-up)}h${r(length)}L${x1} ${y0}z` });
        set(box.far, { d: `M${x1} ${y0}l${r(right)} ${r(-up)}v${r(tall)}L${x1} ${y1}z` });
        set(box.glow, { d: `M${x0} ${y0}l${r(right)} ${r(-up)}h${r(length)}v${r(tall)}L${x1} ${y1}H${x0}z` });
        set(box.hit, { x: r(column.from), y: 0, width: r(column.to - column.from), height });
        const { at, name = "", shape = "", low } = labels[index] || {};
        say(box.name, name);
        say(box.shape, shape);
        if (name) {
          set(box.name, { x: r(at), y: height - (low ? 4 : 20) });
          set(box.shape, { x: r(at), y: height - 4 });
        }
        const on = leaf.key === this.selected;
        set(box.node, { class: on ? "room glide on" : "room glide", tabindex: on ? 0 : -1, "aria-label":
          `${leaf.name}: ${shapeText(leaf.step.output)}` });
        nodes.push(box.node);
        words.push(box.name, box.shape);
      });
      // Something must be reachable by Tab also when the selected row is open and so has no box.
      if (!leaves.some(({ key }) => key === this.selected)) set(nodes[0], { tabindex: 0 });
      for (const key of this.boxes.keys()) if (!used.has(key)) this.boxes.delete(key);
      const now = this.svg.children;
      if (now.length !== nodes.length + 1 || nodes.some((node, i) => now[i] !== node)) this.svg.replaceChildren(...nodes, this.words);
      this.words.replaceChildren(...words.filter((node) => node.textContent));
      if (this.refocus) {
        this.boxes.get(this.refocus)?.node.focus();
        this.refocus = null;
      }
      const thin = [...new Set(leaves.map(({ step }) => RE.layerOf(step.room)))]
        .filter((layer) => crowded(leaves.filter(({ step }) => RE.layerOf(step.room) === layer).length));
      say(this.scale, `To scale: one pixel is as long as ${per} channel${per > 1 ? "s" : ""}${thin.length ? `, but the blocks of ${thin.join(" and ")} are thinner` : ""}. ${this.explorer.links ? "Each room is the door to its chapter." : "Point at a room, or open one in the table."}`);
    }

    /**
     * For each leaf its words and where they stand, or nothing. Every room of the network is named, and the first
     * and last block of one that is open; what else is drawn gets a name where there is room for one.
     */
    labels(spots) {
      const { leaves, width } = this;
      const size = width < 500 ? 11 : 12;
      const inside = (leaf) => leaf.key.includes(".") || leaf.key.includes("/");
      const group = (leaf) => (leaf ? RE.layerOf(leaf.step.room) : null);
      const owed = leaves.map((leaf, i) => !inside(leaf) || group(leaf) !== group(leaves[i - 1]) || group(leaf) !== group(leaves[i + 1]));
      const item = (index, shape) => {
        const leaf = leaves[index];
        const [name, words] = [shortName(leaf), shape(leaf.step.output)];
        const { from, to } = spots[index].column;
        return { index, name, shape: words, want: (from + to) / 2, wide: Math.max(RE.textWidth(name, size), RE.textWidth(words, size)) };
      };
      const all = leaves.map((_, index) => index);
      const must = all.filter((index) => owed[index]);
      // Whole shapes only where every room has one: a mixture would have to be read twice.
      for (const [shape, near] of [[shapeText, 8], [(output) => shapeText(output.slice(-2)), 26]]) {
        const set = spread(must.map((index) => item(index, shape)), width);
        if (!set || set.some(({ at, want }) => Math.abs(at - want) > near)) continue;
        for (const index of all.filter((i) => !owed[i])) {
          const more = item(index, shape);
          more.at = clamp(more.want, more.wide / 2, width - more.wide / 2);
          if (set.every(({ at, wide }) => Math.abs(at - more.at) >= (wide + more.wide) / 2 + APART)) set.push(more);
        }
        return indexed(set);
      }
      // Names alone, on two lines in turn.
      const rows = [0, 1].map((turn) => must.filter((_, i) => i % 2 === turn).map((index) => ({ ...item(index, () => ""), low: turn === 1 })));
      return indexed(rows.flatMap((row) => spread(row, width) || []));
    }

    box(leaf) {
      const paint = leaf.key === "image" ? "image" : paintOf(leaf.step.room);
      const fill = color(paint);
      const stroke = line(paint);
      const parts = {
        front: svg("path", { fill, stroke, "stroke-width": 1, "stroke-linejoin": "round" }),
        top: svg("path", { fill: `color-mix(in srgb, ${fill} 72%, white)`, stroke, "stroke-width": 1, "stroke-linejoin": "round" }),
        far: svg("path", { fill: `color-mix(in srgb, ${fill} 78%, black)`, stroke, "stroke-width": 1, "stroke-linejoin": "round" }),
        glow: svg("path", { class: "glow" }),
        hit: svg("rect", { fill: "transparent" }),
        name: svg("text", { "text-anchor": "middle" }),
        shape: svg("text", { "text-anchor": "middle", class: "quiet" }),
      };
      const pick = () => this.select(leaf.key);
      const { name, shape, ...drawn } = parts;
      parts.node = svg("g", { class: "room glide", role: this.explorer.links ? "link" : "button", onpointerenter: pick, onfocus: pick, onclick: (event) => {
        pick();
        if (this.explorer.links) return this.enter(leaf);
        // A tap shows the room; a click of the mouse, which has pointed already, opens it.
        if (event.pointerType !== "touch") this.enter(leaf);
      } }, Object.values(drawn));
      return parts;
    }

    /** Open what has something inside; an operation has not, so its block closes again. */
    enter(leaf) {
      const door = this.explorer.links?.[leaf.key];
      if (door) location.assign(new URL(door, document.baseURI));
      if (this.explorer.links) return;
      if (leaf.children) {
        this.refocus = leaf.children[0].key;
        this.selected = this.refocus;
        this.toggle(leaf.key);
      }
    }

    walk(event) {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const keys = this.leaves.map(({ key }) => key);
      const index = keys.indexOf(this.selected);
      const moves = { ArrowRight: index + 1, ArrowLeft: index - 1, Home: 0, End: keys.length - 1 };
      if (event.key in moves) {
        const target = keys[clamp(moves[event.key], 0, keys.length - 1)];
        this.boxes.get(target).node.focus();
      } else if (event.key === "Enter" || event.key === " ") {
        this.enter(this.leaves[Math.max(index, 0)]);
      } else if (event.key === "Escape") {
        const parent = this.visible.filter(({ node, isOpen }) => isOpen && (this.selected.startsWith(`${node.key}.`) || this.selected.startsWith(`${node.key}/`))).pop();
        if (!parent) return;
        this.selected = this.refocus = parent.node.key;
        this.toggle(parent.node.key);
      } else {
        return;
      }
      event.preventDefault();
    }

    async copy() {
      this.code.select();
      await this.explorer.copyText(this.code.value, "The two lines are in the clipboard.");
    }
  }

  const shortName = ({ name, step }) => (name.includes(".") && name.startsWith("layer") ? name.replace("layer", "") : step.room === "image" ? "image" : name);
  /** Channels, height and width of what is drawn; after the flatten a row of numbers, one pixel high. */
  const volume = (shape) => (shape.length === 3 ? shape : [shape[0], 1, 1]);

  function measure(leaf, pixel, channel) {
    const [channels, tall, wide] = volume(leaf.step.output);
    const back = Math.max(wide * pixel, THINNEST);
    return {
      length: Math.max(channels * channel, THINNEST), tall: Math.max(tall * pixel, THINNEST),
      right: back * BACK[0], up: back * BACK[1],
    };
  }

  const APART = 5; // pixels between two labels
  const indexed = (items) => Object.fromEntries(items.map((item) => [item.index, item]));

  /** Labels from left to right, each as near to where it belongs as the others let it; null if they do not fit. */
  function spread(items, width) {
    let edge = -APART;
    for (const item of items) {
      item.at = Math.max(item.want, edge + APART + item.wide / 2);
      edge = item.at + item.wide / 2;
    }
    edge = width + APART;
    for (const item of [...items].reverse()) {
      item.at = Math.min(item.at, edge - APART - item.wide / 2);
      edge = item.at - item.wide / 2;
    }
    return edge < -0.5 ? null : items;
  }

  /**
   * Columns from left to right. Each room has one wide enough to touch; a room that is open has more for
   * all that is in it, and what does not fit there overlaps like the slices of a loaf.
   */
  function layout(leaves, width, pixel, channel) {
    const boxes = leaves.map((leaf) => measure(leaf, pixel, channel));
    const groups = [];
    leaves.forEach(({ step }, index) => {
      const layer = step.room === "image" ? "image" : RE.layerOf(step.room);
      if (!groups.length || groups[groups.length - 1].layer !== layer) groups.push({ layer, columns: [] });
      groups[groups.length - 1].columns.push(boxes[index].length + boxes[index].right + 10);
    });
    const opened = leaves.length > groups.length;
    for (const group of groups) {
      const least = group.columns.length > 1 ? 110 : opened ? 30 : 44;
      // On the narrowest page a layer of many blocks gets what the other rooms can spare.
      const share = crowded(group.columns.length) ? Math.max(width - 30 * (groups.length - 1), width / groups.length) : width / groups.length;
      group.least = Math.min(least, share);
      group.natural = crowded(group.columns.length) ? CROWD * width : Math.max(group.least, group.columns.reduce((all, column) => all + column, 0));
    }
    const sum = (key) => groups.reduce((all, group) => all + group[key], 0);
    const [least, natural] = [sum("least"), sum("natural")];
    const keep = natural > width ? Math.max(0, width - least) / (natural - least) : 1;
    const spare = Math.max(0, width - natural) / groups.length;
    const spots = [];
    let from = 0;
    for (const group of groups) {
      const given = group.least + (group.natural - group.least) * keep + spare;
      const inside = group.columns.reduce((all, column) => all + column, 0);
      for (const column of group.columns) {
        const to = from + (given * column) / inside;
        const box = boxes[spots.length];
        // Slices that would merge into a bar are cut thinner, with a gap between each and the next.
        if (crowded(group.columns.length)) box.length = Math.min(box.length, Math.max((to - from) * 0.48, 0.8));
        const x = clamp((from + to - box.length - box.right) / 2, 0, Math.max(0, width - box.length - box.right));
        spots.push({ ...box, x, column: { from, to } });
        from = to;
      }
    }
    return spots;
  }

  /** So many blocks of one layer that they cannot be drawn as long as their channels. */
  const crowded = (blocks) => blocks > 8;
  const CROWD = 0.45; // the share of the width that they get
  const CLOSED = 7; // rooms of a network with no layer opened: image, stem, four layers, head

  const NICE = [1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100, 150, 200, 300, 400, 600, 1000, 2000, 5000];

  /** One scale for all panes: the highest image fits, and so do the longest box and all boxes in a row. */
  function commonScale(panes) {
    let pixel = Infinity;
    for (const { settings, height } of panes) {
      const tallest = Math.max(settings.image, isCifar(settings.model) ? 32 : 224);
      pixel = Math.min(pixel, (height - 44) / (tallest * (1 + BACK[1])));
    }
    const per = NICE.find((channels) => panes.every(({ leaves, width }) => {
      const sizes = leaves.map(({ step }) => RE.layerOf(step.room));
      const boxes = leaves.filter((_, i) => !crowded(sizes.filter((layer) => layer === sizes[i]).length))
        .map((leaf) => measure(leaf, pixel, pixel / channels));
      const lengths = boxes.map(({ length }) => length);
      const sum = (values) => values.reduce((x, y) => x + y, 0);
      // Rooms of a closed network stand apart; opened ones may overlap.
      const left = width * (boxes.length < leaves.length ? 1 - CROWD : 1);
      const apart = boxes.length > CLOSED || sum(boxes.map(({ length, right }) => length + right + 10)) <= 0.85 * left;
      return apart && Math.max(...lengths) <= 0.3 * left && sum(lengths) <= 0.62 * left;
    }));
    return { pixel, per: per || NICE[NICE.length - 1] };
  }

  /* ---- the element ------------------------------------------------------------------------------ */

  class ResnetExplorer extends RE.Explorer {
    static look = LOOK;
    static fields = FIELDS;

    connectedCallback() {
      super.connectedCallback();
      this.follow ??= () => this.fromAddress() && this.start();
      root.addEventListener("hashchange", this.follow);
      if (this.arrived) {
        this.arrived = false;
        this.scrollIntoView({ block: "start" });
      }
    }

    disconnectedCallback() {
      super.disconnectedCallback();
      clearTimeout(this.writing);
      root.removeEventListener("hashchange", this.follow);
    }

    read() {
      const asked = super.read();
      const first = own(asked.model);
      for (const key of ["image", "stem", "shortcut", "strideIn", "classes", "open"]) {
        if (asked[key] !== undefined) first[key] = asked[key];
      }
      const panes = [first];
      if (asked.versus) panes.push({ ...own(asked.versus), ...(isCifar(asked.versus) === isCifar(first.model) ? { image: first.image } : {}) });
      return { panes, address: asked.address === "on" && !asked.cover, cover: asked.cover };
    }

    check({ panes }) {
      for (const settings of panes) RE.steps(RE.recipe(settings.model, changesOf(settings)), [3, settings.image, settings.image]);
    }

    /* The address: #explore=resnet50,image:160--resnet18. A second explorer on the page is explore2. */

    get key() {
      const index = [...document.querySelectorAll(this.localName)].indexOf(this);
      return index > 0 ? `explore${index + 1}` : "explore";
    }

    /** Take the state from the address if it has one for this figure; true if it has. */
    fromAddress() {
      if (!this.state?.address) return false;
      const found = new URLSearchParams(location.hash.slice(1)).get(this.key);
      if (!found || found === this.asWritten) return false;
      return true;
    }

    start() {
      this.notice = null;
      super.start();
    }

    /* The cover of a book: the picture with two controls, each room a door to its chapter. */

    buildCover(card) {
      const [settings] = this.state.panes;
      const pane = new Pane(this, settings);
      this.panes = [pane];
      this.links = this.state.cover;
      card.classList.add("cover");
      this.depth = choice("Layers", [18, 34, 50, 101, 152].map((depth) => [`resnet${depth}`, String(depth)]), (model) => pane.change({ model }));
      this.image = slider("Image size", { min: 32, max: 320, unit: "pixels" }, (image) => pane.change({ image }));
      this.line = h("p", { class: "line" });
      this.doors = h("ul", { class: "doors" });
      const more = h("button", { type: "button", class: "button", onclick: () => this.uncover() }, "Details");
      more.title = "Every layer in numbers, the code, and a second network beside it";
      card.append(pane.drawing, pane.scale,
        h("div", { class: "controls" }, this.depth.node, this.image.node, h("div", { class: "control more" }, more)), this.line, this.doors);
    }

    /** The same network with its table, its code and a place for a second one. */
    uncover() {
      const [{ settings }] = this.panes;
      this.setAttribute("model", settings.model);
      this.setAttribute("image", settings.image);
      this.removeAttribute("cover");
      this.shadowRoot.querySelector("select").focus();
    }

    renderCover() {
      const [pane] = this.panes;
      const { settings } = pane;
      pane.compute();
      pane.measure();
      pane.render(commonScale([pane]));
      this.depth.set(settings.model);
      this.image.set(settings.image);
      const words = `${RE.depthOf(pane.plan)} layers · ${short(pane.sum.parameters)} parameters · ${short(pane.sum.multiplyAdds)} multiply-adds`;
      say(this.line, words);
      const rooms = pane.leaves.filter(({ key }) => this.links[key]);
      if (this.doors.children.length !== rooms.length) {
        this.doors.replaceChildren(...rooms.map(({ key, step }) => {
          const paint = key === "image" ? "image" : paintOf(step.room);
          return h("li", {}, h("a", { href: this.links[key], style: `--room:${color(paint)};--room-line:${line(paint)}` },
            h("span", { class: "dot" }), h("span", {}, key), h("span", { class: "shape" })));
        }));
      }
      rooms.forEach(({ step }, index) => say(this.doors.children[index].querySelector(".shape"), shapeText(step.output)));
      if (this.told !== undefined && this.told !== words) this.tell(words);
      this.told = words;
    }

    build(card) {
      this.links = null;
      this.told = undefined;
      if (this.state.cover) return this.buildCover(card);
      // URLSearchParams reads a plus sign as a space, and rooms() splits at either.
      const found = this.state.address ? new URLSearchParams(location.hash.slice(1)).get(this.key) : null;
      if (found) {
        try {
          const panes = found.split("--", 2).map(readBack);
          this.check({ panes });
          this.state.panes = panes;
          this.arrived = true;
        } catch (error) {
          if (!(error instanceof RE.SettingError)) throw error;
          this.notice = `The address of this page asks for something that cannot be: ${error.message}`;
        }
      }
      this.asWritten = found;
      this.usual = this.state.panes.map(written).join("--");
      this.panes = this.state.panes.map((settings) => new Pane(this, settings));
      this.grid = h("div", { class: "panes" });
      this.summary = h("p", { class: "compared" });
      this.toast = h("p", { class: "said" });
      this.compare = h("button", { type: "button", class: "button", onclick: () => this.toggleSecond() });
      const link = h("button", { type: "button", class: "button", onclick: () => this.copyLink() }, icon("copy"), "Copy link");
      card.append(
        ...(this.notice ? [h("p", { class: "refused" }, this.notice)] : []),
        this.grid, h("div", { class: "actions" }, this.compare, this.state.address ? link : null, this.toast, this.summary));
    }

    changed() {
      this.later();
      if (!this.state.address) return;
      clearTimeout(this.writing);
      this.writing = setTimeout(() => this.write(), 250);
    }

    get written() {
      return this.panes.map(({ settings }) => written(settings)).join("--");
    }

    write() {
      const parts = location.hash.slice(1).split("&").filter((part) => part.startsWith("explore") && !part.startsWith(`${this.key}=`));
      if (this.written !== this.usual || this.asWritten) parts.push(`${this.key}=${this.written}`);
      this.asWritten = this.written.replaceAll("+", " ");
      try {
        // Replaced, not pushed: the back button leaves the page, it does not undo a slider.
        history.replaceState(history.state, "", parts.length ? `#${parts.join("&")}` : location.pathname + location.search);
      } catch {
        // A frame without an address of its own keeps its state in the figure alone.
      }
    }

    copyLink() {
      this.usual = null;
      clearTimeout(this.writing);
      this.write();
      return this.copyText(location.href, "The address of this state is in the clipboard.");
    }

    async copyText(text, done) {
      let copied = false;
      try {
        await navigator.clipboard.writeText(text);
        copied = true;
      } catch {
        // A sandboxed frame has no clipboard; the older way works there where it is allowed.
        const field = this.shadowRoot.activeElement;
        const area = h("textarea", { class: "hidden", readonly: true });
        area.value = text;
        this.shadowRoot.append(area);
        area.select();
        copied = document.execCommand("copy");
        area.remove();
        field?.focus();
      }
      this.said = copied ? done : "The browser does not let this page copy. Select the text and copy it by hand.";
      this.tell(this.said);
      this.later();
      clearTimeout(this.forget);
      this.forget = setTimeout(() => {
        this.said = null;
        if (this.isConnected) this.later();
      }, 4000);
    }

    toggleSecond() {
      if (this.panes.length === 2) {
        this.panes.pop();
      } else {
        const { settings } = this.panes[0];
        const other = isCifar(settings.model)
          ? `${family(settings.model) === "cifar" ? "cifar_plain" : "cifar"}${/\d+$/.exec(settings.model)[0]}`
          : settings.model === "resnet18" ? "resnet50" : "resnet18";
        this.panes.push(new Pane(this, { ...own(other), image: settings.image }));
      }
      this.changed();
    }

    render() {
      if (this.links) return this.renderCover();
      const two = this.panes.length === 2;
      if (this.grid.children.length !== this.panes.length) this.grid.replaceChildren(...this.panes.map(({ node }) => node));
      this.grid.classList.toggle("two", two);
      for (const pane of this.panes) {
        pane.compute();
        // Its drawing has a size only while it is shown.
        for (const node of pane.inner) set(node, { hidden: Boolean(pane.error) });
      }
      const running = this.panes.filter((pane) => !pane.error);
      // Sizes are read before anything is written, or each reading would lay the page out again.
      for (const pane of running) pane.measure();
      const scale = running.length ? commonScale(running) : null;
      for (const pane of this.panes) pane.render(scale);
      say(this.compare, two ? "One network" : "Compare networks");
      const words = this.results();
      say(this.summary, two ? words : "");
      say(this.toast, this.said || "");
      if (this.told !== undefined && this.told !== words) this.tell(words);
      this.told = words;
    }

    results() {
      const [first, second] = this.panes;
      const one = (pane) => pane.error
        ? `${title(pane.settings.model)} cannot run: ${pane.error}.`
        : `${title(pane.settings.model)}: ${grouped(pane.sum.parameters)} parameters, ${short(pane.sum.multiplyAdds)} multiply-adds.`;
      if (!second) return one(first);
      if (first.error || second.error) return `${one(first)} ${one(second)}`;
      const times = (a, b) => `${Number((a / b).toPrecision(3))} times`;
      const [more, less] = first.sum.parameters < second.sum.parameters ? [second, first] : [first, second];
      return `${title(more.settings.model)} has ${times(more.sum.parameters, less.sum.parameters)} the parameters and ` +
        `${times(more.sum.multiplyAdds, less.sum.multiplyAdds)} the multiply-adds of ${title(less.settings.model)}.`;
    }
  }

  Object.assign(RE, { writtenState: written, readState: readBack });
  RE.define("resnet-explorer", ResnetExplorer);
})(globalThis);
