/** Reads jobs as JSON, runs each in the engine, and prints what it saw: see tests/explorers/test_net.py. */
"use strict";

const net = require("./engine.js");

/** A map as PyTorch lays it out: image, channel, pixel. */
function unfold({ view }, value, batch) {
  const rows = [];
  for (let n = 0; n < batch; n++) {
    for (let i = 0; i < value.channels * value.pixels; i++) rows.push(view[i * batch + n]);
  }
  return rows;
}

const jobs = {
  /** Some steps on one batch: maps and gradients of the first, weights after the last. */
  async steps({ config, batch, kernels, state, images, labels, steps, rate }) {
    const k = await net.kernels(kernels);
    const network = new net.Network(config, k, batch).setState(state);
    const indices = Int32Array.from({ length: labels.length }, (_, i) => i);
    const copy = (value) => unfold({ view: k.view(value.at, value.length) }, value, batch);
    const found = {};
    for (let step = 0; step < steps; step++) {
      network.load(images, indices);
      network.forward(true);
      const { loss, mistakes } = network.loss(labels, indices);
      network.backward();
      if (step === 0) {
        found.loss = loss;
        found.mistakes = mistakes;
        found.blocks = network.blocks.map(({ output }) => copy(output));
        found.logits = copy(network.logits);
        found.gradients = Object.fromEntries(
          network.parameters.map(({ name, gradient, length }) => [name, Array.from(k.view(gradient, length))]));
        found.norms = network.gradientNorms();
        found.masks = Object.fromEntries(network.tape.filter(({ kind }) => kind === "dropout").map((entry) => {
          const { output, inputs: [input] } = entry;
          const [to, from] = [copy(output), copy(input)];
          return [entry.name, to.map((value, i) => (from[i] === 0 ? 1 : value / from[i]))];
        }));
      }
      network.sgd(rate, 0.9, 1e-4);
    }
    network.load(images, indices);
    network.forward(false);
    return { ...found, state: network.state(), scores: copy(network.logits) };
  },
  /** A whole run on the digits. */
  async train({ settings, kernels, state = true }) {
    const run = new net.Training(settings, net.digits(), await net.kernels(kernels));
    while (!run.finished) run.step();
    return { ...run.verdict(), ...(state ? { state: run.network.state() } : {}) };
  },
  /** What a network of this program weighs, or why it cannot be. */
  async plan({ config }) {
    try {
      const network = new net.Network(config, await net.kernels("float64"), 1);
      return { shapes: Object.fromEntries(network.parameters.map(({ name, shape }) => [name, shape])) };
    } catch (error) {
      if (!(error instanceof net.ProgramError)) throw error;
      return { refused: error.message };
    }
  },
  sources: ({ programs }) => programs.map((program) => net.programSource(program)),
  presets: () => net.PRESETS,
  digits: () => {
    const { train, test, mean, deviation } = net.digits();
    return { images: [...train.images, ...test.images], labels: [...train.labels, ...test.labels], cut: train.labels.length, mean, deviation };
  },
  exp: ({ values }) => values.map(net.exp),
  normals: ({ seed, count }) => {
    const draw = net.random(seed);
    return Array.from({ length: count }, () => draw.normal());
  },
  prepare: ({ drawings }) => drawings.map((strokes) => net.prepareDrawing(strokes)?.counts ?? null),
  /** Percent right on the test set under each of these changes, and the answer for each of these counts. */
  async inside({ which, changes = [], counts = [] }) {
    const inside = await net.Inside.open(which, net.digits());
    return {
      accuracies: changes.map((each) => inside.accuracy({ ...net.INTACT, ...each })),
      shares: counts.map((each) => inside.look(each).shares),
      maps: counts.slice(0, 1).map((each) => inside.look(each).maps.map(({ output }) => Array.from(output.values))),
      occlusion: counts.slice(0, 1).map((each) => inside.occlusion(each, 0)),
      told: net.TRAINED[which],
    };
  },
};

(async () => {
  const answers = [];
  for (const [about, job] of JSON.parse(require("node:fs").readFileSync(0, "utf8"))) answers.push(await jobs[about](job));
  process.stdout.write(JSON.stringify(answers, (_, value) => (typeof value === "number" && !Number.isFinite(value) ? String(value) : value)));
})();
