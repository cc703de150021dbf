/**
 * The trained network, open: its maps room by room, and what changes when something inside it is changed. Every answer
 * comes for one image and for the whole test set.
 */
ResnetEdu.net.part("inside", function (net) {
  const CONFIG = { layers: [2, 2, 2], widths: [8, 16, 32] };
  /** What is left as it was. */
  const INTACT = { branch: {}, shortcut: {}, zero: {}, swap: false, noise: 0 };

  /** {name: {shape, values}} from the bytes of weights.js: whole numbers of one byte, scales and shifts of four. */
  function unpack({ tensors, bytes }, program) {
    const raw = Uint8Array.from(atob(bytes), (letter) => letter.charCodeAt(0));
    const state = {};
    let at = 0;
    for (const [name, shape, kind] of tensors) {
      const length = shape.reduce((a, b) => a * b, 1);
      const bytesEach = kind === "int8" ? 1 : 4;
      const part = raw.slice(at, at + length * bytesEach).buffer;
      state[name] = { shape, values: Array.from(kind === "int8" ? new Int8Array(part) : new Float32Array(part)) };
      at += length * bytesEach;
    }
    // The norms were folded into a scale and a shift: what is left of them has mean 0 and variance 1.
    for (const name of Object.keys(state)) {
      if (!(name.endsWith(".weight") && state[name].shape.length === 1)) continue;
      const norm = name.slice(0, -".weight".length);
      const { shape } = state[name];
      state[`${norm}.running_mean`] = { shape, values: new Array(shape[0]).fill(0) };
      state[`${norm}.running_var`] = { shape, values: new Array(shape[0]).fill(1 - 1e-5) };
    }
    return state;
  }

  class Inside {
    /** A network that is shipped, `which` "residual" or "plain"; its weights must have come. */
    static open(which, data) {
      return Inside.of({ ...CONFIG, program: which === "plain" ? "plain" : "original" }, unpack(net.WEIGHTS[which]), data);
    }

    /** A network that was trained here or elsewhere, as packed() hands it on. */
    static packed({ config, tensors, values }, data) {
      let at = 0;
      const state = Object.fromEntries(tensors.map(([name, shape]) => {
        const length = shape.reduce((a, b) => a * b, 1);
        at += length;
        return [name, { shape, values: values.subarray(at - length, at) }];
      }));
      return Inside.of(config, state, data);
    }

    static async of(config, state, data) {
      const [one, many] = await Promise.all([1, 2].map(() => net.kernels()));
      return new Inside(data, ...[[one, 8], [many, 64]].map(([kernels, batch]) => new net.Network(config, kernels, batch).setState(state)));
    }

    constructor(data, one, many) {
      Object.assign(this, { data, one, many, plain: one.program.shortcut === null });
      this.cache = new Map();
      this.parts = new Map();
      this.noisy = new Map([[0, data.test.images]]);
    }

    /** One normal number for each cell of one image and of the test set; drawn when first asked for. */
    get noise() {
      if (!this.drawn) {
        const draw = net.random(14);
        this.drawn = Float64Array.from({ length: 64 + this.data.test.images.length }, () => draw.normal());
      }
      return this.drawn;
    }

    get blocks() {
      return this.one.blocks.map(({ name }) => name);
    }

    /** Can the block's two ends stand for each other? Only then a plain block can be taken out. */
    fits(name) {
      const { input, output } = this.one.blocks.find((block) => block.name === name);
      return input.length === output.length;
    }

    /**
     * Put the changes into a network. branch and shortcut: {block: factor}; a plain block with a factor of 0 is taken
     * out. zero: {block: channel}. swap: exchange the two blocks of layer1.
     */
    change(network, { branch, shortcut, zero, swap }) {
      const k = network.kernels;
      for (const block of network.blocks) {
        const { name, input, output } = block;
        block.branchScale = branch[name] ?? 1;
        block.shortcutScale = shortcut[name] ?? 1;
        const entry = network.tape.find((each) => each.output === output);
        entry.touch = () => {
          if (this.plain && branch[name] === 0) k.view(output.at, output.length).set(k.view(input.at, input.length));
          if (name in zero) {
            const length = output.pixels * network.batch;
            k.view(output.at + zero[name] * length, length).fill(0);
          }
        };
      }
      if (swap !== (network.swapped ?? false)) {
        network.swapped = swap;
        this.exchange(network, "layer1.0.", "layer1.1.");
      }
    }

    exchange(network, first, second) {
      for (const tensor of [...network.parameters, ...network.buffers]) {
        if (!tensor.name.startsWith(first)) continue;
        const other = [...network.parameters, ...network.buffers].find(({ name }) => name === second + tensor.name.slice(first.length));
        const [a, b] = [tensor, other].map(({ at, length }) => network.kernels.view(at, length));
        const kept = Array.from(a);
        a.set(b);
        b.set(kept);
      }
    }

    /** Counts 0 to 16 of one image as the network reads them. */
    normalize(counts, noise = 0) {
      return Float64Array.from(counts, (c, i) => (c / 16 - this.data.mean) / this.data.deviation + (noise && noise * this.noise[i]));
    }

    /** One image under these changes: {shares, maps: [{name, identity, residual, output}]}. */
    look(counts, changes = INTACT) {
      const network = this.one;
      this.change(network, changes);
      network.load(this.normalize(counts, changes.noise), [0]);
      network.forward(false);
      const copy = (value) => value && {
        channels: value.channels, side: value.side,
        values: Float64Array.from({ length: value.channels * value.pixels }, (_, i) => network.kernels.view(value.at, value.length)[i * network.batch]),
      };
      const maps = network.blocks.map(({ name, input, shortcut, residual, output }) => ({
        name,
        identity: scaled(copy(shortcut ?? input), changes.shortcut[name] ?? 1),
        residual: residual && scaled(copy(residual), changes.branch[name] ?? 1),
        output: copy(output),
      }));
      return { shares: softmax(this.scores(network, 0)), stem: copy(network.blocks[0].input), maps };
    }

    scores(network, n) {
      const { at, length, channels } = network.logits;
      const values = network.kernels.view(at, length);
      return Array.from({ length: channels }, (_, c) => values[c * network.batch + n]);
    }

    /** Has it been measured under these changes? */
    knows(changes) {
      return this.cache.has(JSON.stringify(changes));
    }

    /** Measure one more batch of the test set under these changes; true once all of it is. */
    advance(changes) {
      const key = JSON.stringify(changes);
      if (this.cache.has(key)) return true;
      const { many: network } = this;
      const { labels } = this.data.test;
      const part = this.parts.get(key) ?? { from: 0, right: 0 };
      const indices = Int32Array.from({ length: Math.min(network.batch, labels.length - part.from) }, (_, i) => part.from + i);
      this.change(network, changes);
      network.load(this.test(changes.noise), indices);
      network.forward(false);
      indices.forEach((index, n) => {
        const scores = this.scores(network, n);
        if (scores.indexOf(Math.max(...scores)) === labels[index]) part.right++;
      });
      part.from += indices.length;
      if (part.from < labels.length) {
        this.parts.set(key, part);
        return false;
      }
      this.parts.delete(key);
      this.cache.set(key, (100 * part.right) / labels.length);
      return true;
    }

    /** The images of the test set with this much noise on them. */
    test(noise) {
      if (!this.noisy.has(noise)) this.noisy.set(noise, this.data.test.images.map((value, i) => value + noise * this.noise[64 + i]));
      return this.noisy.get(noise);
    }

    /** Percent right on the test set under these changes. */
    accuracy(changes = INTACT) {
      while (!this.advance(changes));
      return this.cache.get(JSON.stringify(changes));
    }

    /** For each of the 64 cells: the score of the class when this cell is covered, minus the score as it is. */
    occlusion(counts, label, changes = INTACT) {
      const { many: network } = this;
      this.change(network, changes);
      const whole = this.normalize(counts, changes.noise);
      const blank = -this.data.mean / this.data.deviation;
      const images = new Float64Array(64 * 64);
      for (let cell = 0; cell < 64; cell++) {
        images.set(whole, 64 * cell);
        images[64 * cell + cell] = blank;
      }
      network.load(images, Int32Array.from({ length: 64 }, (_, i) => i));
      network.forward(false);
      const covered = Array.from({ length: 64 }, (_, cell) => this.scores(network, cell)[label]);
      this.look(counts, changes);
      const before = this.scores(this.one, 0)[label];
      return covered.map((score) => score - before);
    }
  }

  function scaled(map, factor) {
    return factor === 1 ? map : { ...map, values: map.values.map((value) => value * factor) };
  }

  function softmax(scores) {
    const top = Math.max(...scores);
    const shares = scores.map((score) => net.exp(score - top));
    const sum = shares.reduce((a, b) => a + b, 0);
    return shares.map((share) => share / sum);
  }

  Object.assign(net, { Inside, INTACT });
});
