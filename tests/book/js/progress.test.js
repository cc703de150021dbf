// What the book remembers of its reader, under node's own runner.
"use strict";
const assert = require("node:assert/strict");
const { test } = require("node:test");
const Progress = require("../../../book/web/progress.js");
const Review = require("../../../book/web/review.js");

/** As a browser's storage, with other things in it. */
function storage(entries) {
  const kept = new Map(Object.entries({ mode: "dark", "resnet-edu-board": "[]", ...entries }));
  return {
    get length() { return kept.size; },
    key: (at) => [...kept.keys()][at],
    getItem: (key) => kept.get(key) ?? null,
    setItem: (key, value) => void kept.set(key, value),
    removeItem: (key) => void kept.delete(key),
  };
}
const right = { given: "56", right: true, first: true };
const wrong = { given: "28", right: false, first: false };

test("only what belongs to the book is read, and what cannot be read is left alone", () => {
  const all = Progress.all(storage({ "resnet-edu:predict-03_stem-1": JSON.stringify(right), "resnet-edu:predict-03_stem-2": "{", "resnet-edu:x": "3" }));
  assert.deepEqual(all, { "predict-03_stem-1": right });
});

test("a browser without room says so and does not throw", () => {
  assert.equal(Progress.keep("exercise-a-1", { solved: true }, { setItem() { throw new Error("full"); } }), false);
});

test("a page counts what is right or solved", () => {
  const all = { "predict-03_stem-1": right, "predict-03_stem-2": wrong, "exercise-03_stem-1": { solved: true }, "exercise-clinic-10": { solved: true },
    place: { page: "03_stem" } };
  assert.deepEqual(Progress.tally(all), { "03_stem": 2, clinic: 1 });
});

test("the page of an address", () => {
  assert.equal(Progress.page("file:///a/book/04_basic_block.html#x"), "04_basic_block");
  assert.equal(Progress.page("https://a.b/book/04_basic_block.html?v=1"), "04_basic_block");
  assert.equal(Progress.page("https://a.b/book/"), "");
});

test("a file brings back what was written", () => {
  const all = { "predict-03_stem-1": { ...right, asked: "k3x" }, "predict-03_stem-2": wrong, "predict-03_stem-3": { first: false }, "exercise-03_stem-1": { solved: true } };
  assert.deepEqual(Review.read(Review.write(all)), all);
});

test("a file that is none says what to do, and a strange entry is left out", () => {
  for (const text of ["", "[", "null", "[]", '{"book":"other","kept":{}}', '{"book":"resnet-edu","version":1,"kept":null}']) {
    assert.throws(() => Review.read(text), /Choose the one that “Save to a file” wrote/, text);
  }
  assert.throws(() => Review.read('{"book":"resnet-edu","version":2,"kept":{}}'), /newer edition/);
  const strange = { place: { page: "x" }, "predict-a-1": { given: 5, right: true }, "predict-../b-1": right, "exercise-a-1": { solved: "yes" }, "predict-a-2": null, mode: "dark" };
  assert.deepEqual(Review.read(JSON.stringify({ book: "resnet-edu", version: 1, kept: strange })), {});
  const long = Review.read(JSON.stringify({ book: "resnet-edu", version: 1, kept: { "predict-a-1": { given: "x".repeat(1e5), right: 1, more: "y" } } }));
  assert.deepEqual(long, { "predict-a-1": { given: "x".repeat(200), right: false } });
});

test("reading a file loses nothing that is done on either side", () => {
  const mine = { "predict-a-1": right, "predict-a-2": wrong, "predict-a-3": wrong };
  const theirs = { "predict-a-1": wrong, "predict-a-2": right, "exercise-a-1": { solved: true } };
  assert.deepEqual(Review.merge(mine, theirs, Progress.done),
    { "predict-a-1": right, "predict-a-2": right, "predict-a-3": wrong, "exercise-a-1": { solved: true } });
});

test("each state has its words", () => {
  assert.equal(Review.state(right), "right");
  assert.equal(Review.state({ given: "1", right: true }), "right", "kept before first answers were");
  assert.equal(Review.state({ ...right, first: false }), "right, but not at first");
  assert.equal(Review.state(wrong), "not yet right");
  assert.equal(Review.state({ first: false }), "to be asked again");
  assert.equal(Review.state({ solved: true }), "solved");
  assert.equal(Review.state(undefined), "");
});
