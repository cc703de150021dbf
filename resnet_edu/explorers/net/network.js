/**
 * A residual network of the paper's family for small images: a stem, layers of blocks, a head. Building it writes a
 * tape, one entry for each operation, with its forward and its backward; running it walks along the tape and back.
 */
ResnetEdu.net.part("network", function (net) {
  const EPSILON = 1e-5;
  const MOMENTUM = 0.1;
  const DEFAULTS = { program: "original", layers: [9, 9, 9], widths: [4, 8, 16], inChannels: 1, classes: 10, side: 8 };

  /** A generator of 32-bit numbers (mulberry32): integers only, so every machine draws the same. */
  function random(...seeds) {
    let state = seeds.reduce((sum, seed) => Math.imul(sum ^ (seed + 0x9e3779b9), 0x85ebca6b) + 0x27d4eb2f, 0x12345);
    const bits = () => {
      state = (state + 0x6d2b79f5) | 0;
      let t = Math.imul(state ^ (state >>> 15), 1 | state);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return (t ^ (t >>> 14)) >>> 0;
    };
    const uniform = () => bits() / 4294967296;
    return {
      bits,
      uniform,
      /** Nearly normal: twelve uniform numbers have variance 1. Logarithms may differ in their last bit between browsers. */
      normal: () => {
        let sum = -6;
        for (let i = 0; i < 12; i++) sum += uniform();
        return sum;
      },
    };
  }

  /** eˣ from sums and products alone, for x ≤ 0: Math.exp may differ in its last bit between browsers. */
  function exp(x) {
    if (!(x > -700)) return x <= -700 ? 0 : NaN;
    let power = 1;
    while (-x > power / 2) power *= 2;
    const r = x / power;
    let sum = 1;
    for (let k = 14; k > 0; k--) sum = 1 + (sum * r) / k;
    for (let p = power; p > 1; p /= 2) sum *= sum;
    return sum;
  }

  class Network {
    /** `config` as DEFAULTS; the program is a preset's name or a block; `batch` images at a time. */
    constructor(config, kernels, batch) {
      if (batch % kernels.multiple) throw new net.ProgramError(`the batch must be a multiple of ${kernels.multiple}, got ${batch}`);
      this.config = { ...DEFAULTS, ...config };
      const { program } = this.config;
      if (typeof program === "string" && !Object.hasOwn(net.PRESETS, program)) {
        throw new net.ProgramError(`no block is called ${program}; there are ${Object.keys(net.PRESETS).join(", ")}`);
      }
      this.program = net.checkProgram(typeof program === "string" ? net.PRESETS[program] : program);
      this.kernels = kernels;
      this.batch = batch;
      this.tape = [];
      this.parameters = [];
      this.buffers = [];
      this.blocks = [];
      this.tableCache = new Map();
      this.steps = 0;
      this.build();
    }

    /* ---- building ----------------------------------------------------------------------------- */

    build() {
      const { layers, widths, inChannels, classes, side } = this.config;
      if (layers.length !== widths.length) throw new net.ProgramError(`${layers.length} layers and ${widths.length} widths`);
      this.input = this.value(inChannels, side);
      let at = this.operation("conv1", { name: "conv3", channels: widths[0], stride: 1 }, this.input);
      at = this.operation("bn1", { name: "bn" }, at);
      at = this.operation("relu", { name: "relu" }, at);
      layers.forEach((count, layer) => {
        for (let i = 0; i < count; i++) {
          at = this.block(`layer${layer + 1}.${i}`, at, widths[layer], layer > 0 && i === 0 ? 2 : 1);
        }
      });
      net.layout(this.program.head, at.channels, at.channels, 1).forEach((operation, i) => {
        at = this.operation(`head.${i}`, operation, at);
      });
      this.features = at;
      at = this.pool(at);
      this.logits = this.linear("fc", at, classes);
      this.lossGradient = this.kernels.alloc(this.logits.length);
      this.placeParameters();
      this.planGradients();
    }

    value(channels, side) {
      const length = channels * side * side * this.batch;
      return { channels, side, pixels: side * side, length, at: this.kernels.alloc(length) };
    }

    parameter(name, shape, start) {
      const length = shape.reduce((a, b) => a * b, 1);
      const parameter = { name, shape, length, start };
      this.parameters.push(parameter);
      return parameter;
    }

    /** Weights side by side, their gradients side by side: one call of sgd moves them all. */
    placeParameters() {
      this.size = this.parameters.reduce((sum, { length }) => sum + length, 0);
      const [w, g, v] = [0, 1, 2].map(() => this.kernels.alloc(this.size));
      Object.assign(this, { weightsAt: w, gradientsAt: g, velocityAt: v });
      let offset = 0;
      for (const parameter of this.parameters) {
        parameter.at = w + offset;
        parameter.gradient = g + offset;
        offset += parameter.length;
      }
    }

    block(name, input, channels, stride) {
      const plan = net.planBlock(this.program, input.channels, channels, stride, input.side);
      const block = { name, input, branchScale: 1, shortcutScale: 1 };
      let residual = input;
      plan.branch.forEach((operation, i) => (residual = this.operation(`${name}.branch.${i}`, operation, residual)));
      let at = residual;
      if (plan.shortcut !== null) {
        let shortcut = input;
        plan.shortcut.forEach((operation, i) => (shortcut = this.operation(`${name}.shortcut.${i}`, operation, shortcut)));
        at = this.add(name, residual, shortcut, block);
        Object.assign(block, { residual, shortcut, sum: at });
      }
      plan.after.forEach((operation, i) => (at = this.operation(`${name}.after.${i}`, operation, at)));
      block.output = at;
      this.blocks.push(block);
      return at;
    }

    operation(name, operation, x) {
      switch (operation.name) {
        case "conv3": return this.conv(name, x, operation.channels, 3, operation.stride);
        case "conv1": return this.conv(name, x, operation.channels, 1, operation.stride);
        case "bn": return this.norm(name, x);
        case "relu": return this.relu(name, x);
        case "match": return this.match(name, x, operation.channels, operation.stride);
        case "project": {
          if (operation.stride === 1 && operation.channels === x.channels) return x;
          return this.norm(`${name}.1`, this.conv(`${name}.0`, x, operation.channels, 1, operation.stride));
        }
        case "scale": return this.scale(name, x, operation.value);
        case "gain": return this.gain(name, x, operation.value);
        case "dropout": return this.dropout(name, x, operation.value);
      }
      throw new net.ProgramError(`there is no operation ${operation.name}`);
    }

    /* ---- the operations: each writes one entry of the tape --------------------------------------- */

    /** Which source pixels each output pixel reads, and the same seen from the input and from each tap. */
    tables(side, kernel, stride) {
      const key = `${side} ${kernel} ${stride}`;
      if (!this.tableCache.has(key)) {
        const out = Math.ceil(side / stride);
        const padding = (kernel - 1) / 2;
        const [forward, backward, taps] = [out * out, side * side, kernel * kernel].map((n) => Array.from({ length: n }, () => []));
        for (let q = 0; q < out * out; q++) {
          for (let t = 0; t < kernel * kernel; t++) {
            const row = Math.floor(q / out) * stride + Math.floor(t / kernel) - padding;
            const column = (q % out) * stride + (t % kernel) - padding;
            if (row < 0 || row >= side || column < 0 || column >= side) continue;
            const p = row * side + column;
            forward[q].push(p, t);
            backward[p].push(q, t);
            taps[t].push(p, q);
          }
        }
        const flat = (lists) => {
          const ends = [0];
          for (const list of lists) ends.push(ends[ends.length - 1] + list.length / 2);
          return this.kernels.table([...ends, ...lists.flat()]);
        };
        this.tableCache.set(key, { forward: flat(forward), backward: flat(backward), taps: flat(taps), out });
      }
      return this.tableCache.get(key);
    }

    conv(name, x, channels, kernel, stride) {
      const { kernels: k, batch: N } = this;
      const tables = this.tables(x.side, kernel, stride);
      const y = this.value(channels, tables.out);
      const taps = kernel * kernel;
      // Standard deviation √(2 / (k²·channels out)): He et al. 2015b with fan-out, as in resnet_edu.initialization.
      const deviation = Math.sqrt(2 / (taps * channels));
      const w = this.parameter(`${name}.weight`, [channels, x.channels, kernel, kernel], (draw) => deviation * draw.normal());
      const turned = k.alloc(w.length);
      this.tape.push({
        name, kind: "conv", inputs: [x], output: y, weight: w,
        forward: () => k.conv(y.at, x.at, w.at, tables.forward, y.pixels, x.channels, x.pixels, channels, taps, N),
        backward: (dy, [dx]) => {
          k.convWeights(w.gradient, x.at, dy, tables.taps, y.pixels, x.channels, x.pixels, channels, taps, N);
          if (dx === null) return;
          k.turn(turned, w.at, channels, x.channels, taps);
          k.conv(dx, dy, turned, tables.backward, x.pixels, channels, y.pixels, x.channels, taps, N);
        },
      });
      return y;
    }

    norm(name, x) {
      const { kernels: k } = this;
      const y = this.value(x.channels, x.side);
      const length = x.pixels * this.batch;
      const scale = this.parameter(`${name}.weight`, [x.channels], () => 1);
      const shift = this.parameter(`${name}.bias`, [x.channels], () => 0);
      const running = k.alloc(2 * x.channels);
      const mean = { name: `${name}.running_mean`, shape: [x.channels], length: x.channels, at: running };
      const variance = { name: `${name}.running_var`, shape: [x.channels], length: x.channels, at: running + x.channels };
      k.view(variance.at, x.channels).fill(1);
      this.buffers.push(mean, variance);
      const saved = k.alloc(2 * x.channels);
      this.tape.push({
        name, kind: "bn", inputs: [x], output: y, weight: scale,
        forward: (training) => training
          ? k.normTrain(y.at, x.at, scale.at, shift.at, saved, running, x.channels, length, EPSILON, MOMENTUM)
          : k.normEval(y.at, x.at, scale.at, shift.at, running, x.channels, length, EPSILON),
        backward: (dy, [dx]) =>
          k.normBackward(dx, scale.gradient, shift.gradient, dy, x.at, scale.at, saved, x.channels, length),
      });
      return y;
    }

    relu(name, x) {
      const { kernels: k } = this;
      const y = this.value(x.channels, x.side);
      this.tape.push({
        name, kind: "relu", inputs: [x], output: y,
        forward: () => k.relu(y.at, x.at, y.length),
        backward: (dy, [dx]) => k.reluBackward(dx, dy, y.at, y.length),
      });
      return y;
    }

    /** The addition. Its two gradients are the same, so they share one buffer, and no backward works in place. */
    add(name, a, b, block) {
      const { kernels: k } = this;
      const y = this.value(a.channels, a.side);
      this.tape.push({
        name, kind: "add", inputs: [a, b], output: y,
        forward: () => {
          if (block.branchScale === 1 && block.shortcutScale === 1) return k.add(y.at, a.at, b.at, y.length);
          k.scale(y.at, a.at, block.branchScale, y.length);
          this.spare ??= k.alloc(Math.max(...this.tape.map(({ output }) => output.length)));
          k.scale(this.spare, b.at, block.shortcutScale, y.length);
          k.add(y.at, y.at, this.spare, y.length);
        },
      });
      return y;
    }

    /** Option A: every stride-th pixel, half of the new channels of zeros before the old ones and half after. */
    match(name, x, channels, stride) {
      if (stride === 1 && channels === x.channels) return x;
      if (channels < x.channels) {
        throw new net.ProgramError(`zero-padding can add channels but not remove them, got ${x.channels} → ${channels}; use project`);
      }
      const { kernels: k, batch: N } = this;
      const side = Math.ceil(x.side / stride);
      const y = this.value(channels, side);
      const before = Math.floor((channels - x.channels) / 2);
      const copy = (to, from, back) => {
        for (let c = 0; c < x.channels; c++) {
          for (let q = 0; q < side * side; q++) {
            const p = Math.floor(q / side) * stride * x.side + (q % side) * stride;
            const small = ((c + before) * side * side + q) * N;
            const large = (c * x.pixels + p) * N;
            if (back) k.view(to + large, N).set(k.view(from + small, N));
            else k.view(to + small, N).set(k.view(from + large, N));
          }
        }
      };
      this.tape.push({
        name, kind: "match", inputs: [x], output: y,
        forward: () => copy(y.at, x.at, false), // the other channels were zeros when they were allocated
        backward: (dy, [dx]) => {
          k.view(dx, x.length).fill(0);
          copy(dx, dy, true);
        },
      });
      return y;
    }

    scale(name, x, factor) {
      const { kernels: k } = this;
      const y = this.value(x.channels, x.side);
      this.tape.push({
        name, kind: "scale", inputs: [x], output: y,
        forward: () => k.scale(y.at, x.at, factor, y.length),
        backward: (dy, [dx]) => k.scale(dx, dy, factor, y.length),
      });
      return y;
    }

    gain(name, x, start) {
      const { kernels: k } = this;
      const y = this.value(x.channels, x.side);
      const value = this.parameter(`${name}.value`, [], () => start);
      this.tape.push({
        name, kind: "gain", inputs: [x], output: y, weight: value,
        forward: () => k.scale(y.at, x.at, k.view(value.at, 1)[0], y.length),
        backward: (dy, [dx]) => {
          k.view(value.gradient, 1)[0] = k.dot(dy, x.at, y.length);
          k.scale(dx, dy, k.view(value.at, 1)[0], y.length);
        },
      });
      return y;
    }

    dropout(name, x, probability) {
      const { kernels: k } = this;
      const y = this.value(x.channels, x.side);
      const mask = k.alloc(y.length);
      const number = this.tape.length;
      const threshold = Math.floor(probability * 4294967296);
      this.tape.push({
        name, kind: "dropout", inputs: [x], output: y,
        forward: (training) => {
          if (!training) return k.scale(y.at, x.at, 1, y.length);
          k.dropMask(mask, threshold, 1 / (1 - probability), random(this.config.seed ?? 0, number, this.steps).bits(), y.length);
          k.multiply(y.at, x.at, mask, y.length);
        },
        backward: (dy, [dx]) => k.multiply(dx, dy, mask, y.length),
      });
      return y;
    }

    pool(x) {
      const { kernels: k, batch: N } = this;
      const y = this.value(x.channels, 1);
      this.tape.push({
        name: "avgpool", kind: "pool", inputs: [x], output: y,
        forward: () => {
          const from = k.view(x.at, x.length);
          const to = k.view(y.at, y.length);
          for (let c = 0; c < x.channels; c++) {
            for (let n = 0; n < N; n++) {
              let sum = 0;
              for (let p = 0; p < x.pixels; p++) sum += from[(c * x.pixels + p) * N + n];
              to[c * N + n] = sum / x.pixels;
            }
          }
        },
        backward: (dy, [dx]) => {
          const from = k.view(dy, y.length);
          const to = k.view(dx, x.length);
          for (let c = 0; c < x.channels; c++) {
            for (let p = 0; p < x.pixels; p++) {
              for (let n = 0; n < N; n++) to[(c * x.pixels + p) * N + n] = from[c * N + n] / x.pixels;
            }
          }
        },
      });
      return y;
    }

    /** A linear layer is a 1×1 convolution of one pixel, and a shift. */
    linear(name, x, classes) {
      const { batch: N, kernels: k } = this;
      const y = this.conv(name, x, classes, 1, 1);
      const entry = this.tape[this.tape.length - 1];
      const bound = 1 / Math.sqrt(x.channels); // PyTorch's own start of a linear layer
      const start = (draw) => (2 * draw.uniform() - 1) * bound;
      entry.kind = "linear";
      Object.assign(entry.weight, { shape: [classes, x.channels], start });
      const shift = this.parameter(`${name}.bias`, [classes], start);
      const { forward, backward } = entry;
      entry.forward = () => {
        forward();
        const scores = k.view(y.at, y.length);
        const values = k.view(shift.at, classes);
        for (let c = 0; c < classes; c++) for (let n = 0; n < N; n++) scores[c * N + n] += values[c];
      };
      entry.backward = (dy, into) => {
        backward(dy, into);
        const from = k.view(dy, y.length);
        const to = k.view(shift.gradient, classes);
        for (let c = 0; c < classes; c++) {
          let sum = 0;
          for (let n = 0; n < N; n++) sum += from[c * N + n];
          to[c] = sum;
        }
      };
      return y;
    }

    /* ---- the way back ---------------------------------------------------------------------------- */

    /** Decide once which buffer each gradient lies in; a buffer returns to the pool after its last reader. */
    planGradients() {
      const { kernels: k } = this;
      const free = new Map();
      const take = (length) => {
        const at = free.get(length)?.pop();
        return { at: at ?? k.alloc(length), length, readers: 1 };
      };
      const release = (buffer) => {
        if (--buffer.readers === 0) free.set(buffer.length, [...(free.get(buffer.length) ?? []), buffer.at]);
      };
      const gradients = new Map([[this.logits, { at: this.lossGradient, length: this.logits.length, readers: 2 }]]);
      this.back = [];
      for (const entry of [...this.tape].reverse()) {
        const mine = gradients.get(entry.output);
        if (!mine) throw new net.ProgramError(`nothing reads what ${entry.name} gives`);
        if (entry.kind === "add") {
          for (const input of entry.inputs) this.collect(gradients, input, { ...mine, shared: mine }, take, release);
        } else {
          const [input] = entry.inputs;
          const into = input === this.input ? null : take(input.length);
          this.back.push(() => entry.backward(mine.at, [into && into.at]));
          if (into) this.collect(gradients, input, into, take, release);
        }
        release(mine);
      }
    }

    /** A value that several operations read gets the sum of their gradients. */
    collect(gradients, value, incoming, take, release) {
      const { kernels: k } = this;
      if (value === this.input) return;
      const own = incoming.shared ?? incoming;
      const before = gradients.get(value);
      if (!before) {
        if (incoming.shared) own.readers++;
        gradients.set(value, own);
        return;
      }
      const sum = before.readers > 1 ? take(value.length) : before;
      this.back.push(() => k.add(sum.at, before.at, own.at, value.length));
      if (sum !== before) release(before);
      if (!incoming.shared) release(own);
      gradients.set(value, sum);
    }

    /* ---- running ----------------------------------------------------------------------------------- */

    /** Weights as they start, from a seed; with zeroGamma the last norm of each branch starts at 0. */
    start(seed, { zeroGamma = false } = {}) {
      this.config.seed = seed;
      const draw = random(seed, 1);
      for (const { at, length, start } of this.parameters) {
        const values = this.kernels.view(at, length);
        for (let i = 0; i < length; i++) values[i] = start(draw);
      }
      if (zeroGamma) {
        for (const { name } of this.blocks) {
          const last = this.tape.filter((entry) => entry.kind === "bn" && entry.name.startsWith(`${name}.branch.`)).pop();
          if (last) this.kernels.view(last.weight.at, last.weight.length).fill(0);
        }
      }
      return this;
    }

    /** Bring images [n][channel][pixel] into the input; missing ones are zeros. */
    load(images, indices) {
      const { channels, pixels, length, at } = this.input;
      const each = channels * pixels;
      const to = this.kernels.view(at, length);
      if (indices.length < this.batch) to.fill(0);
      for (let n = 0; n < indices.length; n++) {
        const from = indices[n] * each;
        for (let i = 0; i < each; i++) to[i * this.batch + n] = images[from + i];
      }
    }

    forward(training = false) {
      for (const entry of this.tape) {
        entry.forward(training);
        entry.touch?.();
      }
    }

    /** Mean cross-entropy of the first `count` images, mistakes among them, and the gradient of the scores. */
    loss(labels, indices) {
      const { batch: N, kernels: k } = this;
      const { channels: classes } = this.logits;
      const count = indices.length;
      const scores = k.view(this.logits.at, this.logits.length);
      const gradient = k.view(this.lossGradient, this.logits.length);
      const shares = new Float64Array(classes);
      let loss = 0;
      let mistakes = 0;
      for (let n = 0; n < N; n++) {
        if (n >= count) {
          for (let c = 0; c < classes; c++) gradient[c * N + n] = 0;
          continue;
        }
        let best = 0;
        for (let c = 1; c < classes; c++) if (scores[c * N + n] > scores[best * N + n]) best = c;
        const top = scores[best * N + n];
        let sum = 0;
        for (let c = 0; c < classes; c++) sum += shares[c] = exp(Math.min(scores[c * N + n] - top, 0));
        for (let c = 0; c < classes; c++) gradient[c * N + n] = shares[c] / sum / count;
        const label = labels[indices[n]];
        gradient[label * N + n] -= 1 / count;
        loss -= scores[label * N + n] - top - Math.log(sum);
        // NaN is larger than nothing, so `best` would be a guess.
        mistakes += best !== label || !(sum > 0) ? 1 : 0;
      }
      return { loss: loss / count, mistakes };
    }

    backward() {
      for (const step of this.back) step();
    }

    sgd(rate, momentum, decay) {
      this.kernels.sgd(this.weightsAt, this.gradientsAt, this.velocityAt, this.size, rate, momentum, decay);
      this.steps++;
    }

    /** The Euclidean norm of the gradient in every convolution, in the order of the forward pass. */
    gradientNorms() {
      return this.tape.filter(({ kind }) => kind === "conv")
        .map(({ weight }) => Math.sqrt(this.kernels.dot(weight.gradient, weight.gradient, weight.length)));
    }

    /** Weights and running statistics by PyTorch's names: {name: {shape, values}}. */
    state() {
      const found = {};
      for (const { name, shape, at, length } of [...this.parameters, ...this.buffers]) {
        found[name] = { shape, values: Array.from(this.kernels.view(at, length)) };
      }
      return found;
    }

    /** The same in little room, to be handed on or kept: {config, tensors: [[name, shape]…], values: Float32Array}. */
    packed() {
      const { program, config: { layers, widths } } = this;
      const all = [...this.parameters, ...this.buffers];
      const values = new Float32Array(all.reduce((sum, { length }) => sum + length, 0));
      let offset = 0;
      for (const { at, length } of all) {
        values.set(this.kernels.view(at, length), offset);
        offset += length;
      }
      return { config: { program, layers, widths }, tensors: all.map(({ name, shape }) => [name, shape]), values };
    }

    /** What state() gave, the other way. Throws where a name or a shape does not fit. */
    setState(state) {
      const mine = new Map([...this.parameters, ...this.buffers].map((tensor) => [tensor.name, tensor]));
      const differ = [...mine.keys()].filter((name) => !(name in state)).concat(Object.keys(state).filter((name) => !mine.has(name)));
      if (differ.length) throw new net.ProgramError(`these names are not in both networks: ${differ.slice(0, 4).join(", ")}`);
      for (const [name, { shape, at, length }] of mine) {
        const { values } = state[name];
        if (values.length !== length) throw new net.ProgramError(`${name} needs the shape ${shape.join("×")}, got ${state[name].shape.join("×")}`);
        this.kernels.view(at, length).set(values);
      }
      return this;
    }
  }

  Object.assign(net, { Network, random, exp });
});
