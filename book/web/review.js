// The page of the reader's own progress: what has been answered, what was wrong the first time, a file to carry to
// another browser, and forgetting it all. Stands on progress.js, which every page has.
"use strict";

const Review = {
  /** What is written into the file. */
  write: (all) => JSON.stringify({ book: "resnet-edu", version: 1, kept: all }, null, 1),

  /** What a file holds, each entry checked. Throws an Error whose message is for the reader. */
  read(text) {
    let file;
    try {
      file = JSON.parse(text);
    } catch {
      throw new Error("This is not a file of progress: it cannot be read as JSON. Choose the one that “Save to a file” wrote.");
    }
    if (file?.book !== "resnet-edu" || typeof file.kept !== "object" || file.kept === null) {
      throw new Error("This file holds no progress of this book. Choose the one that “Save to a file” wrote.");
    }
    if (file.version !== 1) {
      throw new Error("This file comes from a newer edition of the book. Open that edition here, and read the file there.");
    }
    const kept = {};
    for (const [id, value] of Object.entries(file.kept)) {
      if (/^predict-\w+-\d+$/.test(id)) {
        const entry = {};
        if (typeof value?.given === "string") Object.assign(entry, { given: value.given.slice(0, 200), right: value.right === true });
        if (typeof value?.first === "boolean") entry.first = value.first;
        if (typeof value?.asked === "string") entry.asked = value.asked.slice(0, 20);
        if ("given" in entry || entry.first === false) kept[id] = entry;
      } else if (/^exercise-\w+-\d+$/.test(id) && value?.solved === true) kept[id] = { solved: true };
    }
    return kept;
  },

  /** Both together: what is done in either is done; else what is here stays. */
  merge(mine, theirs, done) {
    const both = { ...theirs, ...mine };
    for (const id of Object.keys(mine)) if (id in theirs && done(theirs[id]) && !done(mine[id])) both[id] = theirs[id];
    return both;
  },

  /** In a word, for the list. */
  state(kept) {
    if (kept?.solved) return "solved";
    if (kept?.right) return kept.first === false ? "right, but not at first" : "right";
    if (kept && "given" in kept) return "not yet right";
    return kept?.first === false ? "to be asked again" : "";
  },

  summary(all, questions, exercises) {
    const answers = Object.entries(all).filter(([id]) => id.startsWith("predict-")).map(([, kept]) => kept);
    const right = answers.filter((kept) => kept.right).length;
    const solved = Object.values(all).filter((kept) => kept.solved).length;
    return `${right} of ${questions} questions answered right, ${solved} of ${exercises} exercises marked as solved.`;
  },
};

if (typeof module !== "undefined") module.exports = Review;
else
  (() => {
    const list = document.querySelector(".progress-list");
    const items = [...list.querySelectorAll("li[data-id]")];
    const h = (tag, properties, ...children) => {
      const node = Object.assign(document.createElement(tag), properties);
      node.append(...children);
      return node;
    };
    const ours = (id) => /^(predict|exercise)-/.test(id);
    const mine = () => Object.fromEntries(Object.entries(Progress.all()).filter(([id]) => ours(id)));

    const summary = h("p", { className: "progress-summary" });
    const said = h("p", { className: "progress-said" });
    said.setAttribute("role", "status");
    const review = h("div", { className: "progress-review" });
    const file = h("input", { type: "file", accept: ".json,application/json", hidden: true });
    const button = (words, act) => {
      const made = h("button", { type: "button", textContent: words });
      made.addEventListener("click", act);
      return made;
    };

    const save = button("Save to a file", () => {
      const link = h("a", { href: URL.createObjectURL(new Blob([Review.write(mine())], { type: "application/json" })), download: "resnets-progress.json" });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10000);
      said.textContent = "Saved as resnets-progress.json.";
    });
    const open = button("Read a file", () => file.click());
    file.addEventListener("change", async () => {
      const [chosen] = file.files;
      if (!chosen) return;
      try {
        if (chosen.size > 1e6) throw new Error("This file is too large to be one of progress.");
        const theirs = Review.read(await chosen.text());
        const before = mine();
        const both = Review.merge(before, theirs, Progress.done);
        const kept = Object.entries(both).every(([id, value]) => Progress.keep(id, value));
        const count = Object.keys(both).filter((id) => both[id] !== before[id]).length;
        said.textContent = kept ? `Taken over from the file: ${count}. Nothing that is done here was lost.`
          : "This browser has no room to keep it.";
      } catch (problem) {
        said.textContent = problem.message;
      }
      file.value = "";
      show();
    });
    let forgotten = null;
    const forget = button("Forget everything", () => {
      if (forgotten) {
        for (const [id, value] of Object.entries(forgotten)) Progress.keep(id, value);
        said.textContent = "It is back.";
        forgotten = null;
      } else {
        forgotten = Progress.all();
        for (const id of Object.keys(forgotten)) Progress.keep(id, null);
        said.textContent = "Forgotten. Until you leave this page, you can still bring it back.";
      }
      forget.textContent = forgotten ? "Bring it back" : "Forget everything";
      show();
    });

    function show() {
      const all = mine();
      const count = (kind) => items.filter((item) => item.dataset.id.startsWith(kind)).length;
      summary.textContent = Review.summary(all, count("predict-"), count("exercise-"));
      for (const item of items) {
        const kept = all[item.dataset.id];
        item.dataset.state = Progress.done(kept) ? "done" : kept ? "open" : "";
        item.querySelector(".progress-state")?.remove();
        const words = Review.state(kept);
        if (words) item.append(h("span", { className: "progress-state" }, ` ${words}`));
      }
      const wrong = items.filter((item) => all[item.dataset.id]?.first === false);
      review.replaceChildren(h("h2", {}, "Wrong the first time"));
      if (!wrong.length) {
        review.append(h("p", {}, "Nothing. A question that you miss the first time is listed here until you answer it right at once."));
      } else {
        const again = button("Ask me these again", () => {
          for (const { dataset } of wrong) Progress.keep(dataset.id, { first: false, asked: all[dataset.id].asked });
          location.href = wrong[0].querySelector("a").href;
        });
        review.append(
          h("p", {}, "Asked again and answered right at once, a question leaves this list."),
          h("ul", {}, ...wrong.map((item) => item.cloneNode(true))),
          h("p", {}, again),
        );
      }
      document.dispatchEvent(new Event("answered"));
    }

    list.before(summary, h("div", { className: "progress-buttons" }, save, open, forget, file), said, review);
    // The layout puts a list that ends with the page in its place where storage is denied.
    if (!(localStorage instanceof Storage)) {
      summary.before(h("p", { className: "progress-denied" }, "This browser keeps nothing for this book: it forbids pages to store anything. What you answer counts until you leave the page."));
    }
    addEventListener("storage", show);
    show();
    list.classList.add("ready");
  })();
