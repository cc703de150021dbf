// Shows one slide at a time. Arrow keys, space and the buttons turn them; an answer waits for a key of its own.
"use strict";
(() => {
  const slides = [...document.querySelectorAll(".slide")];
  const root = document.documentElement;
  let at = 0;
  let notes = null; // a window of their own

  /** A body that is too tall for the screen becomes smaller, down to two fifths. */
  function fit(slide) {
    const [body, inner] = [slide.querySelector(".body"), slide.querySelector(".fit")];
    inner.style.zoom = 1;
    for (let scale = 1; scale > 0.4 && (inner.getBoundingClientRect().height > body.clientHeight + 1 || body.scrollWidth > body.clientWidth + 1);) {
      scale -= 0.05;
      inner.style.zoom = scale;
    }
  }

  function show(next, focus = true) {
    at = Math.max(0, Math.min(slides.length - 1, next));
    slides.forEach((slide, index) => slide.classList.toggle("shown", index === at));
    const slide = slides[at];
    fit(slide);
    document.querySelector(".where").textContent = `${at + 1} of ${slides.length}`;
    history.replaceState(null, "", `#${at + 1}`);
    if (focus) slide.focus({ preventScroll: true });
    tell();
  }

  const waiting = () => slides[at].querySelector(".answer[hidden]");
  function forward() {
    const answer = waiting();
    if (!answer) return show(at + 1);
    answer.hidden = false;
    fit(slides[at]);
  }
  function back() {
    for (const answer of slides[at].querySelectorAll(".answer")) answer.hidden = true;
    show(at - 1);
  }

  function tell() {
    if (!notes || notes.closed) return;
    const next = slides[at + 1]?.querySelector("h1, h2")?.textContent ?? "the end";
    notes.document.title = "Notes";
    notes.document.body.style.cssText = "font: 18px/1.5 system-ui, sans-serif; margin: 1.5em; max-width: 42em;";
    notes.document.body.innerHTML = slides[at].querySelector(".notes").innerHTML;
    notes.document.body.prepend(Object.assign(notes.document.createElement("p"), { textContent: `${at + 1} of ${slides.length} · next: ${next}` }));
  }
  const act = {
    forward, back,
    notes: () => {
      document.body.classList.toggle("with-notes");
      fit(slides[at]);
    },
    window: () => {
      notes = open("", "notes", "width=720,height=640");
      tell();
    },
    mode: () => (root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark"),
  };
  const keys = { ArrowRight: "forward", PageDown: "forward", " ": "forward", ArrowLeft: "back", PageUp: "back", n: "notes", p: "window", d: "mode" };
  addEventListener("keydown", (event) => {
    // What stands on a slide keeps its own keys: a slider, a field, a button under the space key.
    const own = event.composedPath()[0];
    if (event.ctrlKey || event.metaKey || event.altKey || own.closest?.("input, select, textarea, [role=slider], [role=radio]")) return;
    if (event.key === " " && own.closest?.("button, a, summary")) return;
    if (event.key === "Home") show(0);
    else if (event.key === "End") show(slides.length - 1);
    else if (keys[event.key]) act[keys[event.key]]();
    else return;
    event.preventDefault();
  });
  for (const button of document.querySelectorAll("nav [data-act]")) button.addEventListener("click", () => act[button.dataset.act]());
  addEventListener("resize", () => fit(slides[at]));
  addEventListener("hashchange", () => show(Number(location.hash.slice(1)) - 1 || 0));
  root.dataset.theme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  addEventListener("load", () => show(Number(location.hash.slice(1)) - 1 || 0, false));
})();
