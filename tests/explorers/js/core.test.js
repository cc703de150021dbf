// The core by itself, under node's own runner; its equality with Python is tests/test_explorers.py's.
"use strict";
const assert = require("node:assert/strict");
const { test } = require("node:test");
const RE = require("../../../resnet_edu/explorers/core.js");

const facts = [
  ["resnet18", {}, 18, 11689512, 1814073344],
  ["resnet34", {}, 34, 21797672, 3663761408],
  ["resnet50", {}, 50, 25557032, 4089184256],
  ["resnet50", { stride_in: "1x1" }, 50, 25557032, 3857973248],
  ["resnet101", {}, 101, 44549160, 7801405440],
  ["resnet152", {}, 152, 60192808, 11513626624],
];
for (const [name, changes, depth, parameters, multiplyAdds] of facts) {
  test(`${name} ${JSON.stringify(changes)} has the published totals`, () => {
    assert.deepEqual(RE.total(RE.steps(name, [3, 224, 224], changes)), { parameters, multiplyAdds });
    assert.equal(RE.depthOf(RE.recipe(name, changes)), depth);
  });
}

test("the paper's CIFAR family", () => {
  const parameters = (depth) => RE.total(RE.steps(`cifar${depth}`, [3, 32, 32])).parameters;
  assert.deepEqual([20, 110, 1202].map(parameters), [269722, 1727962, 19421274]);
});

test("sums by layer and by block keep the totals and the ends", () => {
  const rows = RE.steps("resnet50", [3, 225, 160]);
  for (const groups of [RE.byLayer(rows), RE.byBlock(rows)]) {
    assert.deepEqual(RE.total(groups), RE.total(rows));
    assert.deepEqual(groups.at(-1).output, rows.at(-1).output);
    assert.equal(groups.at(-1).receptiveField, rows.at(-1).receptiveField);
  }
  assert.deepEqual(RE.byLayer(rows).map((row) => row.room), ["stem", "layer1", "layer2", "layer3", "layer4", "head"]);
  assert.equal(RE.byBlock(rows).length, 1 + 16 + 1);
});

test("summing does not change the rows it sums", () => {
  const rows = RE.steps("cifar8", [3, 32, 32]);
  const before = JSON.stringify(rows);
  RE.byLayer(rows);
  assert.equal(JSON.stringify(rows), before);
});

test("the size formula, its floor, and a kernel that does not fit", () => {
  assert.equal(RE.convOut(224, 7, 2, 3), 112);
  assert.equal(RE.convOut(7, 3, 2, 1), 4);
  assert.equal(RE.convOut(8, 3, 2, 0), 3);
  assert.equal(RE.convOut(9, 3, 1, 0, 4), 1);
  assert.throws(() => RE.convOut(4, 3, 1, 0, 2), /reaches over 5 pixels, the padded input has 4 \+ 2·0 = 4/);
  assert.throws(() => RE.convOut(4, 0), /at least 1/);
});

test("a setting that cannot be is told in a sentence", () => {
  assert.throws(() => RE.steps("resnet19"), /has depths 18, 34, 50, 101, 152, got 19; the nearest is 18/);
  assert.throws(() => RE.steps("cifar21"), /the nearest: 20 \(n = 3\) and 26 \(n = 4\)/);
  assert.throws(() => RE.steps("resnet18", [3, 224, 224], { blok: 1 }), /a recipe has no blok/);
  assert.throws(() => RE.steps("resnet18", [224, 224, 3]), /permute it/);
  assert.throws(() => RE.steps("resnet18", [3, 0, 6]), RE.SettingError);
});

test("Python's two lines leave out what the name already says", () => {
  assert.equal(RE.toPython({ model: "resnet50" }), "from resnet_edu import resnet50\nmodel = resnet50()");
  assert.equal(
    RE.toPython({ model: "resnet50", stem: "imagenet", shortcut: "A", stride_in: "1x1", num_classes: 10 }),
    'from resnet_edu import resnet50\nmodel = resnet50(num_classes=10, shortcut="A", stride_in="1x1")'
  );
  assert.equal(
    RE.toPython({ model: "cifar_plain56", num_classes: 100 }),
    "from resnet_edu import cifar_resnet\nmodel = cifar_resnet(56, plain=True, num_classes=100)"
  );
  assert.equal(
    RE.toPython({ model: "plain34", stem: "cifar" }),
    'from resnet_edu import PlainBlock, ResNet\nmodel = ResNet(PlainBlock, [3, 4, 6, 3], stem="cifar")'
  );
  // A basic block has no convolution that could carry the other stride.
  assert.equal(RE.toPython({ model: "resnet18", stride_in: "1x1" }), "from resnet_edu import resnet18\nmodel = resnet18()");
});

test("numbers for people", () => {
  assert.deepEqual([0, 64, 999, 1000, 9408, 11689512, 1814073344].map(RE.short),
    ["0", "64", "999", "1.00 k", "9.41 k", "11.7 M", "1.81 G"]);
  assert.equal(RE.short(999600), "1.00 M");
  assert.equal(RE.grouped(1814073344), "1,814,073,344");
  assert.equal(RE.grouped(64), "64");
  assert.deepEqual([[1024, 14, 14], [1000], [10]].map(RE.shapeText), ["1024×14×14", "1,000", "10"]);
});

test("two shapes at an addition: equal, refused, or stretched in silence", () => {
  assert.deepEqual(RE.addShapes([1, 64, 56, 56], [1, 64, 56, 56]), { shape: [1, 64, 56, 56], broadcast: false });
  assert.equal(
    RE.addShapes([1, 128, 28, 28], [1, 64, 56, 56]).error,
    "The size of tensor a (28) must match the size of tensor b (56) at non-singleton dimension 3"
  );
  assert.deepEqual(RE.addShapes([1, 8, 1, 1], [1, 8, 2, 2]), { shape: [1, 8, 2, 2], broadcast: true });
});

test("a block whose ends differ is repaired by A, B and C at their price", () => {
  const plan = { kind: "basic", inChannels: 64, channels: 128, stride: 2, size: 56, shortcut: "identity" };
  const none = RE.block(plan);
  assert.match(none.sum.error, /tensor a \(28\)/);
  assert.equal(none.options.identity.fits, false);
  const repaired = Object.fromEntries(["A", "B", "C"].map((shortcut) => [shortcut, RE.block({ ...plan, shortcut })]));
  assert.deepEqual(Object.values(repaired).map(({ sum }) => sum.shape), Array(3).fill([1, 128, 28, 28]));
  assert.deepEqual(Object.values(repaired).map(({ chosen }) => chosen.parameters), [0, 64 * 128 + 256, 64 * 128 + 256]);
  assert.deepEqual(Object.values(repaired).map(({ chosen }) => chosen.multiplyAdds), [0, 6422528, 6422528]);
});

test("where the ends match, only option C pays", () => {
  const plan = { kind: "basic", inChannels: 64, channels: 64, stride: 1, size: 56, shortcut: "B" };
  const { options, sum } = RE.block(plan);
  assert.deepEqual(sum, { shape: [1, 64, 56, 56], broadcast: false });
  assert.deepEqual(Object.values(options).map((o) => o.kind), ["identity", "identity", "identity", "projection"]);
});

test("zero-padding cannot remove channels", () => {
  const { chosen, sum } = RE.block({ kind: "basic", inChannels: 256, channels: 64, stride: 1, size: 8, shortcut: "A" });
  assert.match(chosen.error, /256 → 64; use option B/);
  assert.equal(sum.error, chosen.error);
});

test("the pre-activation block norms first and ends at the addition", () => {
  const { residual, after, options } = RE.block(
    { kind: "preactivation", inChannels: 16, channels: 32, stride: 2, size: 32, shortcut: "B" });
  assert.deepEqual(residual.map((row) => row.room), ["bn1", "relu", "conv1", "bn2", "relu", "conv2"]);
  assert.equal(residual[0].parameters, 2 * 16);
  assert.deepEqual(after, []);
  assert.equal(options.B.parameters, 16 * 32);
});
