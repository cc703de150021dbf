/**
 * <conv-explorer size="7" kernel="3" stride="2" padding="1" dilation="1">: a kernel slides over its
 * padded input and fills the output, cell by cell, and the size formula is written out beside it.
 */
(function (root) {
  "use strict";
  const RE = root.ResnetEdu;
  const { h, svg, set, say, icon, stepper, slider, clamp, whole, color, line } = RE;

  const RANGES = { size: [1, 256], kernel: [1, 15], stride: [1, 8], padding: [0, 8], dilation: [1, 6] };
  // What a ResNet asks of its convolutions and its pooling, to begin from.
  const PRESETS = [
    ["Stem 7×7/2", { size: 224, kernel: 7, stride: 2, padding: 3, dilation: 1 }],
    ["Max-pool 3×3/2", { size: 112, kernel: 3, stride: 2, padding: 1, dilation: 1 }],
    ["3×3 in a block", { size: 14, kernel: 3, stride: 1, padding: 1, dilation: 1 }],
    ["Projection 1×1/2", { size: 14, kernel: 1, stride: 2, padding: 0, dilation: 1 }],
  ];
  const CAPTION = 40; // pixels above the grids, for their names and sizes
  const EDGE = 2;
  const SMALLEST = 5; // pixels of a cell below which a part of the grids is shown,
  const ZOOMED = 12; // at this size

  const LOOK = `
.drawing { height: 300px; margin: 1rem 1.25rem .25rem; }
.board { position: absolute; border-radius: 3px; cursor: pointer; touch-action: manipulation; }
.bar { display: flex; flex-wrap: wrap; gap: .6rem; padding: .75rem 1.25rem; align-items: center; }
.bar .where { flex: 1 1 14rem; min-height: 2.9em; display: flex; align-items: center; color: var(--muted); font-size: 14px; }
.sum { flex: 1; border-top: 1px solid var(--rule); padding: .9rem 1.25rem 1.1rem; min-height: 7.4rem; }
.formula { font-size: 1.15rem; display: flex; flex-wrap: wrap; gap: .1rem .5rem; align-items: baseline; }
.formula b { font-weight: 650; }
.formula.symbols { font-size: 13px; color: var(--muted); margin-bottom: .4rem; }
.note { margin: .55rem 0 0; font-size: 14px; max-width: 44rem; }
.note:empty { display: none; }
.note.bad { color: var(--wrong); }
.floor { border-bottom: 2px solid var(--re-error-line, #e8437f); }
.transport { min-width: 6.4rem; }
.control.slider { flex-basis: 100%; }
.presets { display: flex; flex-wrap: wrap; gap: .5rem; }
.presets .button { font-size: 13.5px; padding: 0 .7rem; }
@container (max-width: 480px) {
  .drawing { height: 230px; margin: .75rem .9rem .25rem; }
  .controls > .control:not(.slider) { flex: 1 1 40%; }
  .controls .stepper { width: 100%; }
  .controls .stepper input { flex: 1; }
  .presets .button { flex: 1 1 40%; }
  .bar { padding: .6rem .9rem; }
  .bar .button { flex: 1; padding: 0 .5rem; min-width: 0; }
  .bar .where { flex-basis: 100%; min-height: 4.3em; }
  .sum { padding: .8rem .9rem 1rem; min-height: 12rem; }
  .formula { font-size: 1.05rem; }
}
`;

  class ConvExplorer extends RE.Explorer {
    static look = LOOK;
    static fields = Object.fromEntries(
      Object.entries({ size: 7, kernel: 3, stride: 2, padding: 1, dilation: 1 }).map(([name, value]) => [
        name, { is: whole(...RANGES[name]), value },
      ]));

    build(card) {
      this.cell = 0; // which output cell the kernel fills, in reading order
      const control = (name, words, make = stepper, more = {}) =>
        make(words, { min: RANGES[name][0], max: RANGES[name][1], ...more }, (value) => this.change({ [name]: value }));
      this.controls = {
        size: control("size", "Input size", slider, { unit: "pixels", coarse: 64 }),
        kernel: control("kernel", "Kernel"),
        stride: control("stride", "Stride"),
        padding: control("padding", "Padding"),
        dilation: control("dilation", "Dilation"),
      };

      this.picture = svg("svg", { role: "img" });
      // A slider over two dimensions: arrow keys walk the output grid, its text says what is read.
      this.board = h("div", {
        class: "board", tabindex: 0, role: "slider", "aria-label": "Output cell", "aria-valuemin": 1,
        onkeydown: (event) => this.walk(event),
        onpointerdown: (event) => this.point(event),
        onpointermove: (event) => (event.buttons || event.pointerType === "mouse") && this.point(event),
      });
      const button = (name, words, act, more = "") =>
        h("button", { type: "button", class: `button ${more}`, onclick: act }, icon(name), h("span", {}, words));
      this.back = button("back", "Back", () => this.go(this.cell - 1));
      this.step = button("step", "Step", () => this.go(this.cell + 1));
      this.playing = null;
      this.play = button("play", "Play", () => (this.playing ? this.pause() : this.start_()), "main transport");
      this.where = h("div", { class: "where" });
      this.formula = h("div", { class: "formula" });
      this.symbols = h("div", { class: "formula symbols" });
      this.note = h("p", { class: "note" });
      card.append(
        h("div", { class: "controls" },
          Object.values(this.controls).map(({ node }) => node),
          h("fieldset", { class: "control" }, h("legend", {}, "As in a ResNet"),
            h("div", { class: "presets" }, (this.presets = PRESETS.map(([words, setting]) =>
              h("button", { type: "button", class: "button", onclick: () => this.change(setting) }, words)))))),
        (this.drawing = h("div", { class: "drawing" }, this.picture, this.board)),
        h("div", { class: "bar" }, this.back, this.play, this.step, this.where),
        h("div", { class: "sum" }, this.symbols, this.formula, this.note));
    }

    disconnectedCallback() {
      super.disconnectedCallback();
      clearInterval(this.playing);
      this.playing = null;
    }

    change(changes) {
      this.cell = 0;
      this.pause();
      this.update(changes);
    }

    /* ---- moving the kernel --------------------------------------------------------------------- */

    get output() {
      const { size, kernel, stride, padding, dilation } = this.state;
      return RE.convOut(size, kernel, stride, padding, dilation);
    }

    go(cell) {
      if (this.impossible) return;
      this.pause();
      this.cell = clamp(cell, 0, this.output ** 2 - 1);
      this.later();
      this.tell(this.reading());
    }

    start_() {
      if (this.impossible) return;
      const cells = this.output ** 2;
      if (this.cell === cells - 1) this.cell = 0;
      else this.cell += 1;
      // About twelve seconds for the whole output, and never so fast that one cannot follow.
      const rest = () => {
        if (this.cell >= this.output ** 2 - 1) return this.pause();
        this.cell += 1;
        this.later();
      };
      this.playing = setInterval(rest, clamp(12000 / cells, 60, 700));
      this.later();
    }

    pause() {
      if (!this.playing) return;
      clearInterval(this.playing);
      this.playing = null;
      this.later();
    }

    walk(event) {
      if (this.impossible || event.ctrlKey || event.metaKey || event.altKey) return;
      const side = this.output;
      const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: side, ArrowUp: -side, Home: -Infinity, End: Infinity };
      const step = steps[event.key];
      if (step === undefined) return;
      event.preventDefault();
      const target = this.cell + step;
      if (Math.abs(step) === side && (target < 0 || target >= side * side)) return;
      this.go(target);
    }

    point(event) {
      if (this.impossible) return;
      const box = this.board.getBoundingClientRect();
      const { ox, oy, columns, rows } = this.view;
      const along = (at, from, length, count) => clamp(Math.floor(((at - from) / length) * count), 0, count - 1);
      this.go((oy + along(event.clientY, box.top, box.height, rows)) * this.output + ox + along(event.clientX, box.left, box.width, columns));
    }

    /** Row and column of the current output cell, and which rows of the padded input it reads. */
    reading() {
      const { size, kernel, stride, padding, dilation } = this.state;
      const side = this.output;
      const [row, column] = [Math.floor(this.cell / side), this.cell % side];
      const reach = dilation * (kernel - 1) + 1;
      const span = (index, word) => {
        const first = index * stride - padding + 1;
        const [from, to] = [Math.max(first, 1), Math.min(first + reach - 1, size)];
        if (from > to) return `no ${word} of the image`;
        return from === to ? `${word} ${from}` : `${word}s ${from} to ${to}`;
      };
      return `Output row ${row + 1}, column ${column + 1} reads ${span(row, "row")} and ${span(column, "column")} of the input.`;
    }

    /* ---- showing ------------------------------------------------------------------------------- */

    render() {
      const { size, kernel, stride, padding, dilation } = this.state;
      for (const [name, control] of Object.entries(this.controls)) control.set(this.state[name]);
      PRESETS.forEach(([, setting], index) => set(this.presets[index], {
        "aria-pressed": String(Object.entries(setting).every(([name, value]) => this.state[name] === value)),
      }));
      this.impossible = null;
      let side = 0;
      try {
        side = this.output;
      } catch (error) {
        if (!(error instanceof RE.SettingError)) throw error;
        this.impossible = error.message;
      }
      if (side) this.cell = Math.min(this.cell, side * side - 1);
      this.draw(side);
      this.explain(side);

      const last = side * side - 1;
      set(this.back, { disabled: !side || this.cell === 0 });
      set(this.step, { disabled: !side || this.cell === last });
      set(this.play, { disabled: !side });
      const shown = this.playing ? "pause" : "play";
      if (!this.play.querySelector(`.${shown}.icon`)) {
        this.play.replaceChildren(icon(shown), h("span", {}, shown === "play" ? "Play" : "Pause"));
      }
      const where = side ? this.reading() : "";
      say(this.where, where);
      set(this.board, {
        hidden: !side, "aria-valuemax": side * side, "aria-valuenow": this.cell + 1, "aria-valuetext": where,
      });
      const words = side
        ? `Input ${size} by ${size}, kernel ${kernel}, stride ${stride}, padding ${padding}` +
          `${dilation > 1 ? `, dilation ${dilation}` : ""}: the output is ${side} by ${side}.`
        : `Impossible: ${this.impossible}.`;
      if (this.told !== undefined && this.told !== words) this.tell(words);
      this.told = words;
      set(this.picture, { "aria-label": words });
    }

    draw(side) {
      const { size, kernel, stride, padding, dilation } = this.state;
      const width = this.drawing.clientWidth;
      const height = this.drawing.clientHeight;
      if (width < RE.NARROWEST) return;
      const padded = size + 2 * padding;
      const reach = dilation * (kernel - 1) + 1;
      const cells = Math.max(padded, reach);
      const gap = clamp(width / 10, 28, 90);
      // One scale for both grids: what looks half as wide is half as wide.
      const fit = Math.min((width - gap - 2 * EDGE) / (cells + Math.max(side, 1)), (height - CAPTION - 2 * EDGE) / cells, 34);
      // Where cells would be too small to be seen, a part of both grids stands for them, and follows the kernel.
      const view = side && fit < SMALLEST ? this.part(side, width - gap - 2 * EDGE, height - CAPTION - 2 * EDGE) : null;
      const unit = view ? view.unit : fit;
      const { ix, iy, ox, oy, wide, tall, columns, rows } = (this.view = view ||
        { ix: 0, iy: 0, ox: 0, oy: 0, wide: cells, tall: cells, columns: side, rows: side });
      const left = (width - gap - unit * (wide + columns)) / 2;
      const top = CAPTION + (height - CAPTION - unit * tall) / 2;
      const right = left + unit * wide + gap;
      const outTop = CAPTION + (height - CAPTION - unit * rows) / 2;
      const px = (value) => Math.round(value * 100) / 100;
      const rect = (x, y, w, hh, more) => svg("rect", { x: px(x), y: px(y), width: px(w), height: px(hh), ...more });
      const grid = (x, y, n, paint) => {
        if (unit < 4) return null; // lines closer than this would be a gray veil
        let path = "";
        for (let i = 1; i < n; i++) path += `M${px(x + i * unit)} ${px(y)}v${px(n * unit)}M${px(x)} ${px(y + i * unit)}h${px(n * unit)}`;
        return svg("path", { d: path, stroke: paint, "stroke-width": unit < 9 ? 0.4 : 0.8, fill: "none" });
      };
      /** A window on what lies behind it; its coordinates are the drawing's. */
      const pane = (x, y, w, hh, inside) => {
        const [fromX, fromY, spanX, spanY] = [x - EDGE, y - EDGE, w + 2 * EDGE, hh + 2 * EDGE].map(px);
        return svg("svg", { x: fromX, y: fromY, width: spanX, height: spanY, viewBox: `${fromX} ${fromY} ${spanX} ${spanY}`, class: "pane" }, inside);
      };
      // Corners of the whole grids, which may lie outside their windows.
      const [inX, inY] = [left - ix * unit, top - iy * unit];
      const [outX, outY] = [right - ox * unit, outTop - oy * unit];
      const before = [];
      const after = [];
      const over = [];
      const names = [];
      const name = (x, words, more) => {
        names.push(svg("text", { x: px(x), y: 14, "text-anchor": "middle", "font-weight": 600 }, words));
        if (more) names.push(svg("text", { x: px(x), y: 31, "text-anchor": "middle", class: "quiet" }, more));
      };
      const some = (from, count, all) => (count < all ? `${from + 1}–${from + count}` : "all");
      const fits = (room, ...words) => words.find((text) => RE.textWidth(text) <= room) || "";
      name(left + (unit * wide) / 2, `Input ${size}×${size}`,
        view ? fits(unit * wide + gap, `shown: rows ${some(iy, tall, padded)}, columns ${some(ix, wide, padded)} of ${padded}`,
          `rows ${some(iy, tall, padded)} of ${padded} shown`)
          : padding ? `with zeros around: ${padded}×${padded}` : "");

      // The zeros around, the image, and what no kernel position reads.
      before.push(rect(inX, inY, padded * unit, padded * unit,
        { fill: "var(--soft)", stroke: "var(--edge)", "stroke-dasharray": "3 3", "stroke-width": 1 }));
      before.push(rect(inX + padding * unit, inY + padding * unit, size * unit, size * unit,
        { fill: color("image"), stroke: line("image"), "stroke-width": 1 }));
      const unread = side ? (padded - reach) % stride : 0;
      before.push(grid(inX, inY, padded, "var(--edge)"));
      if (unread) {
        const from = (padded - unread) * unit;
        const length = padded * unit;
        before.push(svg("path", {
          d: `M${px(inX + from)} ${px(inY)}h${px(unread * unit)}v${px(length)}h${px(-length)}v${px(-unread * unit)}h${px(from)}z`,
          fill: color("error"), "fill-opacity": 0.28, stroke: line("error"), "stroke-width": 1,
        }));
      }
      // The output, filled up to the cell that the kernel is filling now.
      const [row, column] = side ? [Math.floor(this.cell / side), this.cell % side] : [0, 0];
      const kx = inX + (side ? column * stride * unit : 0);
      const ky = inY + (side ? row * stride * unit : 0);
      if (side) {
        name(right + (unit * columns) / 2, `Output ${side}×${side}`, view ? fits(unit * columns + gap, `rows ${some(oy, rows, side)} shown`, `rows ${some(oy, rows, side)}`) : "");
        after.push(rect(outX, outY, side * unit, side * unit, { fill: "var(--page)", stroke: line("layer2"), "stroke-width": 1 }));
        if (row) after.push(rect(outX, outY, side * unit, row * unit, { fill: color("layer2") }));
        after.push(rect(outX, outY + row * unit, (column + 1) * unit, unit, { fill: color("layer2") }));
        after.push(grid(outX, outY, side, line("layer2")));
        const [cx, cy] = [outX + column * unit, outY + row * unit];
        for (const corner of [0, 1]) {
          over.push(svg("path", {
            d: `M${px(kx + reach * unit)} ${px(ky + corner * reach * unit)}L${px(cx)} ${px(cy + corner * unit)}`,
            stroke: line("stem"), "stroke-width": 1.2, "stroke-dasharray": "4 3", fill: "none",
          }));
        }
        after.push(rect(cx, cy, unit, unit, { fill: color("stem"), stroke: "var(--ink)", "stroke-width": unit > 6 ? 2 : 1 }));
      }

      // The kernel: every cell that it multiplies, and the square that it reaches over.
      const bad = side ? "stem" : "error";
      let taps = "";
      for (let y = 0; y < kernel; y++) {
        for (let x = 0; x < kernel; x++) taps += `M${px(kx + x * dilation * unit)} ${px(ky + y * dilation * unit)}h${px(unit)}v${px(unit)}h${px(-unit)}z`;
      }
      before.push(svg("path", { d: taps, fill: color(bad), "fill-opacity": side ? 0.82 : 0.55, stroke: line(bad), "stroke-width": unit > 6 ? 1 : 0.4 }));
      before.push(rect(kx, ky, reach * unit, reach * unit, { fill: "none", stroke: side ? "var(--ink)" : line("error"), "stroke-width": unit > 6 ? 2 : 1.2 }));

      if (padding && unit >= 17 && padded * padded <= 260) {
        for (let y = 0; y < padded; y++) {
          for (let x = 0; x < padded; x++) {
            if (x >= padding && x < padding + size && y >= padding && y < padding + size) continue;
            before.push(svg("text", { x: px(inX + (x + 0.5) * unit), y: px(inY + (y + 0.5) * unit + 4), "text-anchor": "middle", class: "quiet" }, "0"));
          }
        }
      }

      set(this.picture, { viewBox: `0 0 ${width} ${height}` });
      this.picture.replaceChildren(
        pane(left, top, wide * unit, tall * unit, before),
        ...(side ? [pane(right, outTop, columns * unit, rows * unit, after)] : []), ...over, ...names);
      // At least 44 pixels to touch, however small the output is.
      const [hitX, hitY] = [Math.max(columns * unit, 44), Math.max(rows * unit, 44)];
      Object.assign(this.board.style, {
        left: `${px(right + (columns * unit - hitX) / 2)}px`, top: `${px(outTop + (rows * unit - hitY) / 2)}px`, width: `${hitX}px`, height: `${hitY}px`,
      });
    }

    /** The part of both grids around the current output cell, in cells; it turns over like a page. */
    part(side, width, height) {
      const { size, kernel, stride, padding, dilation } = this.state;
      const padded = size + 2 * padding;
      const reach = dilation * (kernel - 1) + 1;
      const unit = Math.min(ZOOMED, height / reach, width / (reach + 1));
      const along = (room, index) => {
        const shown = Math.min(padded, Math.max(reach, Math.floor(room / unit)));
        const count = Math.min(side, Math.floor((shown - reach) / stride) + 1);
        const from = Math.min(Math.floor(index / count) * count, side - count);
        return { shown, count, from };
      };
      // The output is narrower than the input by the stride.
      const across = along((width * stride) / (stride + 1), this.cell % side);
      const down = along(height, Math.floor(this.cell / side));
      return {
        ix: Math.min(across.from * stride, padded - across.shown), iy: Math.min(down.from * stride, padded - down.shown),
        wide: across.shown, tall: down.shown, ox: across.from, oy: down.from, columns: across.count, rows: down.count, unit,
      };
    }

    explain(side) {
      const { size, kernel, stride, padding, dilation } = this.state;
      const reach = dilation * (kernel - 1) + 1;
      const part = (text, name) => h("span", name ? { class: name } : {}, text);
      say(this.symbols, dilation > 1
        ? "⌊(size + 2·padding − reach) / stride⌋ + 1,  reach = dilation·(kernel − 1) + 1"
        : "⌊(size + 2·padding − kernel) / stride⌋ + 1");
      set(this.note, { class: side ? "note" : "note bad" });
      if (!side) {
        this.formula.replaceChildren(part(`${size} + 2·${padding} − ${reach} = −${reach - size - 2 * padding} < 0`));
        say(this.note, `This cannot be: ${this.impossible}.`);
        return;
      }
      const span = size + 2 * padding - reach;
      const exact = span / stride;
      const bites = span % stride !== 0;
      const decimal = bites ? String(Number(exact.toFixed(2))) : String(exact);
      this.formula.replaceChildren(
        part(`⌊(${size} + 2·${padding} − ${reach}) / ${stride}⌋ + 1`),
        h("span", {}, "= ", part(`⌊${decimal}⌋`, bites ? "floor" : ""), " + 1"), h("span", {}, "= ", h("b", {}, String(side))));
      const notes = [];
      if (dilation > 1 && kernel > 1) {
        notes.push(`With dilation ${dilation} the ${kernel} taps a side reach over ${dilation}·(${kernel} − 1) + 1 = ${reach} cells.`);
      }
      if (bites) {
        const rest = span % stride;
        const lost = rest === 1 ? "the last row and column" : `the last ${rest} rows and columns`;
        const what = rest <= padding ? "all of it padding" : padding ? `${rest - padding} of it image` : "all of it image";
        notes.push(`The floor bites: no position reaches ${lost} of the padded input, ${what}.`);
      }
      if (stride > reach) notes.push(`The stride is longer than the kernel reaches, so ${stride - reach} in every ${stride} rows and columns are skipped.`);
      if (!bites && stride > 1) notes.push(`The stride ${stride} divides ${span}, so the floor takes nothing away.`);
      if (stride === 1) notes.push(side === size ? "The output is as large as the input." : `With stride 1, the output is ${side < size ? "smaller" : "larger"} by what the padding does not match: 2·${padding} against ${reach} − 1.`);
      say(this.note, notes.join(" "));
    }
  }

  RE.define("conv-explorer", ConvExplorer);
})(globalThis);
