// What the reader has done, remembered in this browser and nowhere else: marks in the list of chapters, a box under
// each exercise, and on the first page the way back to the last place. A question keeps its own answer, under
// "resnet-edu:" and its id (predict-question.js); the page book/progress.md shows it all (review.js).
"use strict";

const Progress = {
  PREFIX: "resnet-edu:",

  /** What is kept about this book: {"predict-04_basic_block-1": {given, right, first}, "exercise-…": {solved}, place}. */
  all(storage = localStorage) {
    const found = {};
    for (let at = 0; at < storage.length; at++) {
      const key = storage.key(at);
      if (!key.startsWith(this.PREFIX)) continue;
      try {
        const kept = JSON.parse(storage.getItem(key));
        if (kept && typeof kept === "object") found[key.slice(this.PREFIX.length)] = kept;
      } catch {
        // Not ours.
      }
    }
    return found;
  },

  /** Whether it was kept: a browser may have no room, or none for this page. */
  keep(id, value, storage = localStorage) {
    try {
      if (value === null) storage.removeItem(this.PREFIX + id);
      else storage.setItem(this.PREFIX + id, JSON.stringify(value));
      return true;
    } catch {
      return false;
    }
  },

  done: (kept) => kept?.right === true || kept?.solved === true,

  /** How much of each page is done: {"04_basic_block": 3}. */
  tally(all) {
    const counts = {};
    for (const [id, kept] of Object.entries(all)) {
      const page = /^(?:predict|exercise)-(.+)-\d+$/.exec(id)?.[1];
      if (page && this.done(kept)) counts[page] = (counts[page] ?? 0) + 1;
    }
    return counts;
  },

  page: (address) => /([^/]+)\.html(?:[?#].*)?$/.exec(address)?.[1] ?? "",
};

if (typeof module !== "undefined") module.exports = Progress;
else
  (() => {
    const links = [...document.querySelectorAll(".bd-sidebar-primary .bd-links a.reference.internal")];
    const here = Progress.page(location.pathname);

    function mark() {
      const counts = Progress.tally(Progress.all());
      for (const link of links) {
        const page = Progress.page(link.href);
        const total = globalThis.BOOK_OUTLINE?.[page] ?? 0;
        const done = Math.min(counts[page] ?? 0, total);
        link.querySelector(".progress-mark")?.remove();
        if (!done) continue;
        const sign = document.createElement("span");
        sign.className = "progress-mark";
        sign.style.setProperty("--done", done / total);
        sign.title = `${done} of ${total} questions and exercises done`;
        const words = document.createElement("span");
        words.className = "visually-hidden";
        words.textContent = ` (${done} of ${total} done)`;
        sign.append(words);
        link.append(sign);
      }
    }

    for (const exercise of document.querySelectorAll("article .exercise[id]")) {
      const box = document.createElement("input");
      box.type = "checkbox";
      box.checked = Progress.all()[exercise.id]?.solved === true;
      box.addEventListener("change", () => {
        Progress.keep(exercise.id, box.checked ? { solved: true } : null);
        mark();
      });
      const label = document.createElement("label");
      label.className = "exercise-solved d-print-none";
      label.append(box, "I have solved it");
      exercise.append(label);
    }

    // Where the reader is: the last heading above the middle of the window.
    const chapter = links.find((link) => link.matches(".current > a") && /^(\d\d_|workbench|clinic)/.test(here));
    if (chapter) {
      const headings = [...document.querySelectorAll("article section[id] > :is(h1, h2, h3)")];
      addEventListener("pagehide", () => {
        const passed = headings.filter((heading) => heading.getBoundingClientRect().top < innerHeight / 2).pop();
        const section = passed?.matches("h1") ? "" : (passed?.parentElement.id ?? "");
        const text = [...document.querySelector("article h1").childNodes].filter((node) => !node.classList?.contains("headerlink"));
        Progress.keep("place", { page: here, section, title: text.map((node) => node.textContent).join("").trim() });
      });
    }
    const doors = document.querySelector("article .doors");
    const { place } = Progress.all();
    const back = doors && links.find((link) => Progress.page(link.href) === place?.page);
    if (back) {
      const door = document.createElement("a");
      door.href = back.href + (place.section ? `#${place.section}` : "");
      door.textContent = `Continue: ${place.title}`;
      const paragraph = document.createElement("p");
      paragraph.className = "door-back";
      paragraph.append(door);
      doors.prepend(paragraph);
    }

    mark();
    document.addEventListener("answered", mark);
    addEventListener("storage", mark);
  })();
