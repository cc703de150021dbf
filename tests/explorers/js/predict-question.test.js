// How a typed answer is read, under node's own runner.
"use strict";
const assert = require("node:assert/strict");
const { test } = require("node:test");
const { readNumber, near } = require("../../../resnet_edu/explorers/predict-question.js");

const read = {
  56: 56, " 56 ": 56, "-3": -3, "−3": -3, "0.25": 0.25, ".25": 0.25, "5.": 5,
  "11,689,512": 11689512, "11 689 512": 11689512, "11_689_512": 11689512, "1,234.5": 1234.5,
  "0,119": 0.119, "3,6": 3.6, // a decimal comma, where groups of three are impossible
  "1.8e9": 1.8e9, "1.8E+9": 1.8e9, "3.6×10^9": 3.6e9, "3.6*10^9": 3.6e9, "1·10^3": 1000,
  "11.7M": 11.7e6, "11.7 M": 11.7e6, "2k": 2000, "4.1 G": 4.1e9, "1/9": 1 / 9,
};
for (const [typed, meant] of Object.entries(read)) {
  test(`“${typed}” is ${meant}`, () => assert.ok(near(readNumber(typed), meant, 0), String(readNumber(typed))));
}

test("what is no number is none", () => {
  for (const typed of ["", " ", "fifty", "5 6 px", "1e", "--3", "1/", "2.3.4", "56x56", "<b>1</b>", "Infinity"]) {
    assert.ok(Number.isNaN(readNumber(typed)), `“${typed}” → ${readNumber(typed)}`);
  }
});

test("near keeps to the tolerance and forgives only what fractions lose", () => {
  assert.ok(near(0.1 + 0.2, 0.3, 0));
  assert.ok(near(57, 56, 1));
  assert.ok(!near(57.01, 56, 1));
  assert.ok(!near(11689512, 11689513, 0));
});
