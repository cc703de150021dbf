/**
 * <shortcut-explorer kind="basic" in-channels="64" channels="128" stride="2" size="56" shortcut="identity">:
 * one block as a diagram. Where the two ends of its addition differ it shows what PyTorch says, and what
 * the paper's options A, B and C cost that repair it (He et al. 2015, section 4.1).
 */
(function (root) {
  "use strict";
  const RE = root.ResnetEdu;
  const { h, svg, set, say, stepper, select, choice, whole, oneOf, color, inkOn, line, grouped, short, shapeText } = RE;

  const CHANNELS = [3, 16, 32, 64, 128, 256, 512, 1024, 2048];
  const OPTIONS = {
    identity: ["Identity", "the input as it is"],
    A: ["Option A", "skip pixels, pad with zeros"],
    B: ["Option B", "project where shapes differ"],
    C: ["Option C", "project in every block"],
  };
  const DASHES = { identity: null, projection: "7 5", "zero-pad": "2 4" };

  /** The layer in which a block of this width stands, and so its color; as in resnet_edu.drawing.diagrams. */
  const layerFor = (channels) => `layer${{ 64: 1, 128: 2, 256: 3, 512: 4 }[channels] || 1}`;
  const NORM = 92; // how wide what changes no shape is drawn

  const LOOK = `
.layout { flex: 1; display: grid; grid-template-columns: minmax(0, 1.15fr) minmax(0, 1fr); }
.drawing { height: 540px; margin: .75rem 0 .75rem .75rem; align-self: center; }
.side { padding: 1rem 1.25rem 1.25rem; display: flex; flex-direction: column; gap: 1rem; }
.options { border: 0; margin: 0; padding: 0; display: grid; gap: .5rem; }
.option { position: relative; display: grid; grid-template-columns: auto 1fr; gap: 0 .7rem; align-content: start; padding: .55rem .8rem; border: 1px solid var(--edge); border-radius: 8px; cursor: pointer; min-height: 44px; }
.option:hover { background: var(--soft); }
.option:has(input:checked) { border-color: var(--ink); box-shadow: inset 0 0 0 1px var(--ink); background: var(--soft); }
.option:has(input:focus-visible) { outline: 3px solid var(--accent); outline-offset: 2px; }
.option input { grid-row: span 3; appearance: none; width: 18px; height: 18px; margin: .2rem 0 0; border: 1.5px solid var(--edge); border-radius: 50%; background: var(--page); cursor: inherit; }
.option input:checked { border-color: var(--ink); background: var(--ink); box-shadow: inset 0 0 0 3.5px var(--page); }
@media (forced-colors: active) { .option input { appearance: auto; } }
.option input:focus-visible { outline: none; }
.option b { font-weight: 650; }
.option small { font-size: 13px; color: var(--muted); }
.option .price { font-size: 13px; }
.option .price.bad { color: var(--wrong); }
.verdict { border-radius: 8px; padding: .75rem .9rem; background: var(--soft); min-height: 8.6rem; }
.verdict.bad { background: var(--wrong-soft); }
.verdict strong { display: block; }
.verdict.bad strong { color: var(--wrong); }
.verdict p { margin: .35rem 0 0; font-size: 14px; }
.verdict code { display: block; margin-top: .45rem; white-space: pre-wrap; overflow-wrap: anywhere; direction: ltr; }
text.room { font-size: 12.5px; }
@container (max-width: 620px) {
  .layout { grid-template-columns: minmax(0, 1fr); }
  .drawing { height: 420px; margin: .5rem; }
  .options { grid-template-columns: 1fr 1fr; }
  .option { padding: .5rem .6rem; gap: 0 .5rem; }
  .side { padding: .25rem .9rem 1rem; flex-direction: column-reverse; }
  .controls .control { flex: 1 1 44%; }
  .controls .kind { flex: 1 1 100%; }
  .controls .segments span { padding: 0 .25rem; font-size: 13.5px; white-space: normal; line-height: 1.15; text-align: center; }
  text.room { font-size: 11.5px; }
  .controls .segments { display: flex; }
  .controls .segments label { flex: 1; }
  .controls .stepper, .controls select { width: 100%; }
  .controls .stepper input { flex: 1; }
}
`;

  const FIELDS = {
    kind: { is: oneOf("basic", "bottleneck", "preactivation"), value: "basic" },
    "in-channels": { is: whole(1, 4096), value: 64 },
    channels: { is: whole(1, 4096), value: 128 },
    stride: { is: whole(1, 3), value: 2 },
    size: { is: whole(1, 512), value: 56 },
    shortcut: { is: oneOf("identity", "A", "B", "C"), value: "identity" },
    "stride-in": { is: oneOf("3x3", "1x1"), value: "3x3" },
  };

  class ShortcutExplorer extends RE.Explorer {
    static look = LOOK;
    static fields = FIELDS;

    build(card) {
      const { inChannels, channels } = this.state;
      const widths = (own) => [...new Set([...CHANNELS, own])].sort((a, b) => a - b).map((n) => [n, grouped(n)]);
      this.controls = {
        kind: choice("Block", [["basic", "Basic"], ["bottleneck", "Bottleneck"], ["preactivation", "Pre-activation"]],
          (kind) => this.update({ kind })),
        inChannels: select("Channels in", widths(inChannels), (n) => this.update({ inChannels: Number(n) })),
        channels: select("Width of the block", widths(channels), (n) => this.update({ channels: Number(n) })),
        size: stepper("Map size", { min: 1, max: 512 }, (size) => this.update({ size })),
        stride: choice("Stride", [["1", "1"], ["2", "2"], ["3", "3"]].slice(0, this.state.stride === 3 ? 3 : 2),
          (stride) => this.update({ stride: Number(stride) })),
        strideIn: choice("Stride in the", [["3x3", "3×3"], ["1x1", "1×1"]], (strideIn) => this.update({ strideIn })),
      };
      this.controls.kind.node.classList.add("kind");
      this.picture = svg("svg", { role: "img" });
      const name = `${this.localName}-option`;
      this.options = Object.entries(OPTIONS).map(([value, [title, words]]) => {
        const input = h("input", { type: "radio", name, value, onchange: () => this.update({ shortcut: value }) });
        const price = h("span", { class: "price" });
        return { value, input, price, node: h("label", { class: "option" }, input, h("b", {}, title), h("small", {}, words), price) };
      });
      this.verdict = h("div", { class: "verdict" });
      card.append(
        h("div", { class: "controls" }, Object.values(this.controls).map(({ node }) => node)),
        h("div", { class: "layout" },
          (this.drawing = h("div", { class: "drawing" }, this.picture)),
          h("div", { class: "side" },
            h("fieldset", { class: "options" }, h("legend", {}, "The shortcut, and its price"), this.options.map(({ node }) => node)),
            this.verdict)));
    }

    render() {
      const { state } = this;
      for (const [name, control] of Object.entries(this.controls)) control.set(name === "stride" ? String(state.stride) : state[name]);
      set(this.controls.strideIn.node, { hidden: state.kind !== "bottleneck" });
      const block = RE.block(state);
      for (const { value, input, price } of this.options) {
        const option = block.options[value];
        input.checked = value === state.shortcut;
        set(price, { class: option.fits ? "price" : "price bad" });
        say(price, option.error ? "cannot remove channels"
          : !option.fits ? "the ends of the addition differ"
            : option.parameters ? `${grouped(option.parameters)} parameters, ${short(option.multiplyAdds)} multiply-adds`
              : option.kind === "identity" && value !== "identity" ? "free: the shapes match, so it is the identity" : "free: nothing to learn, nothing to multiply");
      }
      this.judge(block);
      this.draw(block);
    }

    judge({ chosen, sum, input, output, residual }) {
      const bad = !chosen.fits;
      set(this.verdict, { class: bad ? "verdict bad" : "verdict" });
      const batch = (shape) => `(1, ${shape.join(", ")})`;
      const lines = [];
      if (chosen.error) {
        lines.push(h("strong", {}, "Option A has no answer here."), h("code", {}, `ValueError: ${chosen.error}`));
      } else if (sum.error) {
        lines.push(h("strong", {}, "PyTorch refuses the addition."),
          h("p", {}, "The convolutions give ", nowrap(batch(output)), ", the shortcut gives ", nowrap(batch(chosen.shape)), "."),
          h("code", {}, `RuntimeError: ${sum.error}`));
      } else if (bad) {
        lines.push(h("strong", {}, "PyTorch says nothing, and the sum is wrong."),
          h("p", {}, `${batch(output)} + ${batch(chosen.shape)} broadcasts to (${sum.shape.join(", ")}): a side of 1 is stretched in silence. `,
            "The blocks of this book compare the shapes first."));
      } else {
        const own = residual.reduce((all, row) => all + row.parameters, 0);
        const share = (100 * chosen.parameters) / (own + chosen.parameters);
        const words = {
          identity: "Both ends have the same shape, so the input passes as it is.",
          "zero-pad": `Every ${["", "", "second ", "third "][this.state.stride] || ""}pixel is kept and ${grouped(output[0] - input[0])} channels of zeros are added.`,
          projection: `A 1×1 convolution${this.state.stride > 1 ? ` with stride ${this.state.stride}` : ""} takes ${grouped(input[0])} channels to ${grouped(output[0])}. ` +
            `It holds ${share < 10 ? share.toFixed(1) : Math.round(share)} % of the block's parameters.`,
        }[chosen.kind];
        lines.push(h("strong", {}, "The addition works."), h("p", {}, words),
          h("p", {}, "The block gives ", nowrap(batch(output)), "."));
      }
      this.verdict.replaceChildren(...lines);
      const words = this.verdict.textContent;
      if (this.told !== undefined && this.told !== words) this.tell(lines.map((node) => node.textContent).join(" "));
      this.told = words;
    }

    /** The residual path down the left, the shortcut around it on the right, the plus where they meet. */
    draw({ input, residual, output, chosen, sum, after }) {
      const width = this.drawing.clientWidth;
      const height = this.drawing.clientHeight;
      if (width < RE.NARROWEST) return;
      const bad = !chosen.fits;
      const layer = layerFor(this.state.channels);
      const parts = [];
      const text = (x, y, words, more = {}) => svg("text", { x, y, "text-anchor": "middle", ...more }, words);
      const box = (x, y, w, hh, more) => svg("rect", { x: x - w / 2, y: y - hh / 2, width: w, height: hh, rx: 7, ...more });
      const arrow = (x, from, to, paint = "var(--edge)") =>
        svg("path", { d: `M${x} ${from}V${to - 6}m-4 0h8l-4 6z`, stroke: paint, fill: paint, "stroke-width": 1.6 });

      const narrow = width < 420;
      const mid = Math.round(width * (narrow ? 0.42 : 0.36));
      const more = `+ ${grouped(output[0] - input[0])}`;
      const fits = !narrow || RE.textWidth(`${more} channels`) + 24 <= width - mid - NORM / 2; // beside the norms' boxes
      const added = chosen.error ? [] : fits ? [`${more} channels`] : [more, "channels"];
      const label = { identity: ["identity"], projection: ["1×1 projection", `${grouped(input[0])} → ${grouped(output[0])}`], "zero-pad": ["zero-pad", ...added] }[chosen.kind];
      if (chosen.kind !== "identity" && this.state.stride > 1) label.push(`stride ${this.state.stride}`);
      const labelWide = Math.max(...label.map((words) => RE.textWidth(words))) + 16;
      const right = Math.round(narrow ? width - labelWide / 2 - 2 : width * 0.8);
      const rows = [...residual.map((row) => ({ ...row, conv: row.operation.startsWith("conv") }))];
      const plus = height - 74;
      const top = 40;
      const gap = (plus - 24 - top - 26) / rows.length;
      const wide = Math.min(170, 2 * (right - labelWide / 2 - mid - 6));

      const fitting = (...ways) => ways.find((words) => RE.textWidth(words, narrow ? 11.5 : 12.5) <= wide - 6) || ways[ways.length - 1];

      parts.push(text(mid, 18, `x  ${shapeText(input)}`, { "font-weight": 600 }));
      let y = top + 26;
      let previous = 26;
      rows.forEach((row, index) => {
        const tall = row.conv ? Math.min(34, gap * 0.74) : Math.min(22, gap * 0.56);
        const middle = y + gap * (index + 0.5) - 6;
        parts.push(arrow(mid, previous, middle - tall / 2));
        const channels = `${grouped(row.input[0])} → ${grouped(row.output[0])}`;
        const words = row.conv ? fitting(`${row.operation}, ${channels}`, `${row.operation.replace("conv ", "")}, ${channels}`, row.operation, row.operation.replace("conv ", "")) : row.operation;
        // Norms and ReLUs are drawn narrower: they change no shape.
        parts.push(box(mid, middle, row.conv ? wide : NORM, tall, row.conv
          ? { fill: color(layer), stroke: line(layer) } : { fill: "var(--soft)", stroke: "var(--edge)" }));
        parts.push(text(mid, middle + 4, words, row.conv ? { class: "room", style: `fill:${inkOn(layer)}` } : {}));
        previous = middle + tall / 2;
        // The shape is written on the edge where it changes.
        const next = rows[index + 1];
        const changes = shapeText(row.input) !== shapeText(row.output);
        if (row.conv && changes && next && shapeText(next.output) !== shapeText(output)) {
          // Beside the narrower box of the norm below it, whatever the width.
          const shape = shapeText(row.output);
          if (mid - NORM / 2 - 6 >= RE.textWidth(shape)) parts.push(text(mid - NORM / 2 - 6, previous + 14, shape, { class: "quiet", "text-anchor": "end" }));
        }
      });

      const wrong = { style: "fill:var(--wrong)", "font-weight": 650 };
      const paint = bad ? line("error") : "var(--edge)";
      parts.push(arrow(mid, previous, plus - 14, paint));
      parts.push(text(mid - 12, plus - 24, shapeText(output), { "text-anchor": "end", ...(bad ? wrong : {}) }));

      // The shortcut leaves before the first operation and comes back at the plus.
      const way = bad && chosen.kind === "identity" ? line("error") : line(chosen.kind);
      const fork = 34;
      const dash = DASHES[chosen.kind];
      const middle = (fork + plus) / 2;
      const round = 14;
      parts.push(svg("path", {
        d: `M${mid} ${fork}H${right - round}q${round} 0 ${round} ${round}V${plus - round}q0 ${round} ${-round} ${round}H${mid + 20}`,
        fill: "none", stroke: way, "stroke-width": 2.6, "stroke-dasharray": dash,
      }));
      parts.push(svg("path", { d: `M${mid + 14} ${plus}l9 -5v10z`, fill: way }));
      parts.push(svg("circle", { cx: mid, cy: fork, r: 3.5, fill: way }));
      const labelHeight = 12 + 16 * label.length;
      parts.push(box(right, middle, labelWide, labelHeight, { fill: "var(--page)", stroke: way, "stroke-width": 1.4, "stroke-dasharray": dash }));
      label.forEach((words, index) => parts.push(text(right, middle - labelHeight / 2 + 18 + 16 * index, words)));
      if (chosen.shape) parts.push(text(right - 16, plus - 10, shapeText(chosen.shape), { "text-anchor": "end", ...(bad ? wrong : {}) }));

      parts.push(svg("circle", { cx: mid, cy: plus, r: 13, fill: bad ? color("error") : "var(--page)", stroke: bad ? line("error") : "var(--ink)", "stroke-width": 2 }));
      parts.push(text(mid, plus + 5.5, bad ? "≠" : "+", { style: `font-size:18px;fill:${bad ? inkOn("error") : "var(--ink)"}`, "font-weight": 600 }));
      const end = plus + 52;
      if (after.length) {
        parts.push(arrow(mid, plus + 14, plus + 26));
        parts.push(box(mid, plus + 37, NORM, 22, { fill: "var(--soft)", stroke: "var(--edge)" }), text(mid, plus + 41, after[0]));
        parts.push(arrow(mid, plus + 48, end + 16));
      } else {
        parts.push(arrow(mid, plus + 14, end + 16));
      }
      if (!bad) parts.push(text(mid + 12, end + 14, shapeText(sum.shape.slice(1)), { "text-anchor": "start", "font-weight": 600 }));

      const names = { basic: "basic", bottleneck: "bottleneck", preactivation: "pre-activation" };
      set(this.picture, {
        viewBox: `0 0 ${width} ${height}`,
        "aria-label":
          `A ${names[this.state.kind]} block. From ${shapeText(input)}, the residual path runs through ` +
          `${residual.map((row) => row.operation).join(", ")} and gives ${shapeText(output)}. The shortcut is ` +
          (chosen.error ? `impossible: ${chosen.error}.` : `${chosen.kind === "identity" ? "the identity" : `a ${chosen.kind}`} and gives ${shapeText(chosen.shape)}. `) +
          (chosen.error ? "" : bad ? "The two cannot be added." : "The two are added."),
      });
      this.picture.replaceChildren(...parts);
    }
  }

  const nowrap = (text) => h("span", { style: "white-space:nowrap", dir: "ltr" }, text);

  RE.define("shortcut-explorer", ShortcutExplorer);
})(globalThis);
