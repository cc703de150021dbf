/** One training run, step by step: SGD with momentum, a rate that falls in a line to 0, errors counted on the way. */
ResnetEdu.net.part("training", function (net) {
  /** Rate 0.03 and eight epochs of batches of 64: a 56-layer network has learned the digits by then. */
  const RECIPE = {
    seed: 0, epochs: 8, batch: 64, rate: 0.03, warmup: 0, momentum: 0.9, decay: 1e-4, zeroGamma: false, images: null,
  };
  const KEYS = [...Object.keys(RECIPE), "program", "layers", "widths"];

  /** Blocks in each layer of a network of 6n + 2 weighted layers. */
  function layersOf(depth) {
    const blocks = (depth - 2) / 6;
    if (!Number.isInteger(blocks) || blocks < 1) throw new net.ProgramError(`the depth must be 6n + 2, such as 8, 20, 56 or 110, got ${depth}`);
    return [blocks, blocks, blocks];
  }

  class Training {
    /** `data`: {train: {images, labels}, test, side}, images as floats, one after the other. */
    constructor(settings, data, kernels) {
      const { depth, ...rest } = settings;
      const unknown = Object.keys(rest).filter((key) => !KEYS.includes(key));
      if (unknown.length) throw new net.ProgramError(`a run has no ${unknown.join(", ")}; it has depth, ${KEYS.join(", ")}`);
      this.settings = { program: "original", widths: [4, 8, 16], layers: depth ? layersOf(depth) : [1, 1, 1], ...RECIPE, ...rest };
      const { program, layers, widths, batch, seed, zeroGamma, images } = this.settings;
      this.data = data;
      this.count = Math.min(images ?? data.train.labels.length, data.train.labels.length);
      this.perEpoch = Math.floor(this.count / batch);
      if (this.perEpoch < 1) throw new net.ProgramError(`a batch of ${batch} needs as many images, got ${this.count}`);
      this.total = this.perEpoch * this.settings.epochs;
      this.network = new net.Network({ program, layers, widths, side: data.side }, kernels, batch).start(seed, { zeroGamma });
      this.done = 0;
      this.seen = 0;
      this.mistakes = 0;
      this.loss = 0;
    }

    get finished() {
      return this.done >= this.total;
    }

    rate(step) {
      const { rate, warmup } = this.settings;
      return rate * (1 - step / this.total) * Math.min(1, (step + 1) / Math.max(1, Math.round(warmup * this.perEpoch)));
    }

    /** One batch: forward, backward, SGD. */
    step() {
      const { batch, momentum, decay } = this.settings;
      const { network, data, done } = this;
      const at = done % this.perEpoch;
      if (at === 0) this.shuffle(done / this.perEpoch);
      const indices = this.order.subarray(at * batch, (at + 1) * batch);
      network.load(data.train.images, indices);
      network.forward(true);
      const { loss, mistakes } = network.loss(data.train.labels, indices);
      network.backward();
      network.sgd(this.rate(done), momentum, decay);
      this.done++;
      this.seen += batch;
      this.mistakes += mistakes;
      this.loss += loss * batch;
    }

    shuffle(epoch) {
      const draw = net.random(this.settings.seed, 2, epoch);
      this.order = Int32Array.from({ length: this.count }, (_, i) => i);
      for (let i = this.count - 1; i > 0; i--) {
        const j = Math.floor(draw.uniform() * (i + 1));
        [this.order[i], this.order[j]] = [this.order[j], this.order[i]];
      }
    }

    /** Loss and error in percent since the last look, over the batches that the network was trained on. */
    look() {
      const found = { step: this.done, epoch: this.done / this.perEpoch, loss: this.loss / this.seen, error: (100 * this.mistakes) / this.seen };
      this.seen = this.mistakes = this.loss = 0;
      return found;
    }

    /** Loss and error in percent over a whole split, in eval mode. */
    evaluate({ images, labels }, count = labels.length) {
      const { network } = this;
      let loss = 0;
      let mistakes = 0;
      for (let from = 0; from < count; from += network.batch) {
        const indices = Int32Array.from({ length: Math.min(network.batch, count - from) }, (_, i) => from + i);
        network.load(images, indices);
        network.forward(false);
        const found = network.loss(labels, indices);
        loss += found.loss * indices.length;
        mistakes += found.mistakes;
      }
      return { loss: loss / count, error: (100 * mistakes) / count };
    }

    /** What became of it: the errors at the end, and whether it diverged or never learned. */
    verdict() {
      const train = this.evaluate(this.data.train, this.count);
      const test = this.evaluate(this.data.test);
      // A dead network has a finite loss, that of a guess among ten: −ln 0.1 = 2.303, and 90 % errors.
      const outcome = !Number.isFinite(train.loss) ? "diverged" : train.error >= 80 ? "dead" : "trained";
      return { trainLoss: train.loss, trainError: train.error, testError: test.error, outcome };
    }
  }

  Object.assign(net, { Training, layersOf, RECIPE });
});
