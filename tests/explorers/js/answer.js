// Answers questions put in JSON on stdin with the core's own functions, for tests/explorers/test_explorers.py.
"use strict";
const RE = require("../../../resnet_edu/explorers/core.js");

const row = (s) => [s.room, s.operation, s.input, s.output, s.parameters, s.multiplyAdds, s.receptiveField];
const answers = {
  steps: ({ name, image, changes }) => RE.steps(name, image, changes).map(row),
  recipe_steps: ({ fields, image }) => RE.steps(RE.makeRecipe(fields), image).map(row),
  by_layer: ({ name, image }) => RE.byLayer(RE.steps(name, image)).map(row),
  by_block: ({ name, image }) => RE.byBlock(RE.steps(name, image)).map(row),
  depth: ({ name }) => RE.depthOf(RE.recipe(name)),
  conv_out: ({ size, kernel, stride, padding, dilation }) => RE.convOut(size, kernel, stride, padding, dilation),
  add_shapes: ({ a, b }) => RE.addShapes(a, b),
  to_python: (state) => RE.toPython(state),
  block: (setting) => {
    const { residual, output, options, sum } = RE.block(setting);
    return { residual: residual.map(row), output, options, sum };
  },
};

const questions = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
const replies = questions.map(([about, setting]) => {
  try {
    return answers[about](setting);
  } catch (error) {
    if (!(error instanceof RE.SettingError)) throw error;
    return { refused: error.message };
  }
});
process.stdout.write(JSON.stringify(replies));
