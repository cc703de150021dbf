/**
 * <class-board>: the boards that groups saved on the bench, put together into one table. The files are read in this
 * page; nothing is sent, and nothing is kept when the page is closed.
 */
(function (root) {
  "use strict";
  const RE = root.ResnetEdu;
  const { h, set, say } = RE;
  const { LEARNED, MADE, percent, title, readBoards, byDepth, sorted, table } = RE.blocks;

  /** Larger than any board of 200 blocks. */
  const LARGEST = 2e6;

  const LOOK = `${RE.blocks.LOOK}
.body { padding: 1rem 1.25rem 1.25rem; display: grid; gap: .9rem; grid-template-columns: minmax(0, 1fr); }
.row { display: flex; flex-wrap: wrap; gap: .5rem .75rem; align-items: center; margin: 0; }
.files { position: relative; overflow: hidden; }
.files input { position: absolute; inset: -1px; opacity: 0; cursor: pointer; font-size: 0; width: calc(100% + 2px); }
.files:focus-within { outline: 3px solid var(--accent); outline-offset: 2px; }
.over { box-shadow: inset 0 0 0 3px var(--accent); }
.first { margin: 0; font-size: 1.1em; font-weight: 650; }
.body .segments { align-self: start; }
.note { font-size: 13.5px; color: var(--muted); margin: 0; }
.wrong { color: var(--wrong); margin: 0; }
.groups { display: flex; flex-wrap: wrap; gap: .4rem; list-style: none; margin: 0; padding: 0; }
.groups li { display: flex; align-items: center; border: 1px solid var(--edge); border-radius: 8px; padding-inline-start: .7rem; overflow-wrap: anywhere; }
.groups button { width: 44px; height: 40px; border: 0; background: none; cursor: pointer; border-radius: 7px; font-size: 16px; flex: none; }
.groups button:hover { background: var(--soft); }
table { border-collapse: collapse; font-size: 13.5px; }
th, td { padding: .25rem .7rem .25rem 0; text-align: end; font-weight: 400; }
th:is(:first-child, :nth-child(2)), td:is(:first-child, :nth-child(2)) { text-align: start; }
thead th { color: var(--muted); }
@container (max-width: 480px) { .body { padding: .75rem .9rem 1rem; } }
`;

  class ClassBoard extends RE.Explorer {
    static look = LOOK;
    static fields = {};

    build(card) {
      this.boards = []; // [{group, rows}]
      this.state.sort = { by: "deepest", down: false };
      this.state.best = "yes";
      this.trouble = [];
      const input = h("input", { type: "file", multiple: true, accept: ".json,application/json", onchange: () => {
        this.open([...input.files]);
        input.value = "";
      } });
      const button = (words, act) => h("button", { type: "button", class: "button", onclick: act }, words);
      this.buttons = [button("Save the table", () => this.save()), button("As a spreadsheet", () => this.spreadsheet()), button("Start over", () => this.forget())];
      this.which = RE.choice("Show", [["yes", "the best of each group"], ["no", "every block"]], (best) => this.update({ best }));
      this.first = h("p", { class: "first" });
      this.wrong = h("p", { class: "wrong", role: "alert" });
      this.groups = h("ul", { class: "groups", "aria-label": "Groups in the table" });
      this.table = h("div", { class: "board" });
      card.append(h("div", { class: "body" },
        h("p", { class: "row" }, h("label", { class: "button main files" }, "Choose the groups’ files", input), this.buttons),
        h("p", { class: "note" }, "Or drop them here. They are read in this page. Nothing is sent or kept."),
        this.wrong, this.groups, this.first, this.which.node, this.table));
      const over = (is) => (event) => {
        event.preventDefault();
        card.classList.toggle("over", is);
      };
      card.addEventListener("dragover", over(true));
      card.addEventListener("dragleave", over(false));
      card.addEventListener("drop", (event) => {
        over(false)(event);
        this.open([...event.dataTransfer.files]);
      });
    }

    /** Add what these files hold; a group that comes again takes the place of its older board. */
    async open(files) {
      this.trouble = [];
      for (const file of files) {
        try {
          if (file.size > LARGEST) throw new Error(`${file.name} is too large for a board.`);
          for (const board of readBoards(await file.text(), file.name)) {
            this.boards = [...this.boards.filter(({ group }) => group !== board.group), board];
          }
        } catch (error) {
          this.trouble.push(error.message);
        }
      }
      this.later();
      this.tell(this.verdict());
    }

    rows() {
      return this.boards.flatMap(({ group, rows }) => {
        const mine = this.state.best === "yes" ? sorted(rows, { by: "deepest" }).slice(0, 1) : rows;
        return mine.map((row) => ({ ...row, group }));
      });
    }

    /** Whose block trains deepest, in a sentence. */
    verdict() {
      const [best, ...others] = this.rows().sort(byDepth);
      if (!best) return "";
      if (best.error >= LEARNED) return `No block has learned yet: the lowest training error is ${percent(Math.min(best.error, ...others.map((row) => row.error)))}, and ${LEARNED} % is the bound.`;
      const ties = others.filter((row) => row.group !== best.group && byDepth(best, row) === 0).map(({ group }) => group);
      return `${[best.group, ...ties].join(" and ")} trained deepest: ${title(best)}, ${best.depth} layers at ${percent(best.error)} training error.`;
    }

    save() {
      RE.download("class.json", "application/json", JSON.stringify({ made: MADE, boards: this.boards }, null, 1));
    }

    /** Comma-separated; a cell that a spreadsheet would take for a formula is quoted by an apostrophe. */
    spreadsheet() {
      const cell = (value) => `"${String(value).replace(/^[=+\-@\t]/, "'$&").replaceAll('"', '""')}"`;
      const lines = [["group", "block", "layers", "training error", "seeds", "learning rate", "parameters", "seconds"],
        ...this.rows().sort(byDepth).map((row) => [row.group, title(row), row.depth, row.error, row.errors.length, row.rate, row.parameters, row.seconds])];
      RE.download("class.csv", "text/csv", `\ufeff${lines.map((each) => each.map(cell).join(",")).join("\r\n")}\r\n`);
    }

    forget() {
      this.boards = [];
      this.trouble = [];
      this.tell("The table is empty.");
      this.later();
    }

    render() {
      const bench = document.querySelector("block-workbench");
      say(this.wrong, this.trouble.join(" "));
      set(this.wrong, { hidden: !this.trouble.length });
      for (const button of this.buttons) set(button, { hidden: !this.boards.length });
      set(this.which.node, { hidden: !this.boards.length });
      this.which.set(this.state.best);
      say(this.first, this.verdict());
      this.groups.replaceChildren(...this.boards.map(({ group, rows }) => h("li", {}, `${group}: ${rows.length} ${rows.length === 1 ? "block" : "blocks"}`,
        h("button", { type: "button", "aria-label": `Take out ${group}`, onclick: () => {
          this.boards = this.boards.filter((board) => board.group !== group);
          this.later();
        } }, "×"))));
      const rows = this.rows();
      this.table.replaceChildren(...(rows.length ? [table(rows, this.state.sort, (sort) => this.update({ sort }), bench?.take ? (row) => bench.take(row) : null)] : []));
    }
  }

  RE.define("class-board", ClassBoard);
})(globalThis);
