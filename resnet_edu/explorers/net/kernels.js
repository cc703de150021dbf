/**
 * Every operation on numbers, in plain JavaScript: in float64 the reference, in float32 the fall-back where
 * WebAssembly has no SIMD. kernels.c has the same operations with the same names and arguments.
 *
 * Maps lie channel, pixel, image: x[(c·P + p)·N + n]. With the images innermost, eight of them fill two SIMD
 * registers, and no border needs a test in an inner loop. A convolution reads a table: for each output pixel the
 * pairs (source pixel, tap) that are inside the map. The addresses are indices into one heap of floats.
 */
ResnetEdu.net.part("kernels", function (net) {
  class JavaScriptKernels {
    /** `Numbers` is Float64Array or Float32Array. */
    constructor(Numbers = Float64Array) {
      this.name = Numbers === Float64Array ? "JavaScript, float64" : "JavaScript, float32";
      this.multiple = 1; // the batch must be a multiple of this
      this.heap = new Numbers(1 << 16);
      this.tables = [];
      this.top = 0;
    }

    get bytes() {
      return this.heap.byteLength;
    }

    /** The address of `length` zeros. */
    alloc(length) {
      const address = this.top;
      this.top += Math.ceil(length / 4) * 4;
      if (this.top > this.heap.length) {
        const larger = new this.heap.constructor(Math.max(this.top, 2 * this.heap.length));
        larger.set(this.heap);
        this.heap = larger;
      }
      return address;
    }

    /** The number of a table of integers, kept for good. */
    table(integers) {
      return this.tables.push(Int32Array.from(integers)) - 1;
    }

    /** A window on the heap; take it anew after alloc. */
    view(address, length) {
      return this.heap.subarray(address, address + length);
    }

    /** y[o,q] = Σ w[o,c,t]·x[c,p] over channels and the pairs (p, t) of pixel q. Four images at a time, then the rest. */
    conv(y, x, w, table, pixels, inChannels, inPixels, channels, taps, N) {
      const { heap, tables } = this;
      const ends = tables[table];
      const pairs = pixels + 1;
      for (let o = 0; o < channels; o++) {
        for (let q = 0; q < pixels; q++) {
          const first = pairs + 2 * ends[q];
          const last = pairs + 2 * ends[q + 1];
          const to = y + (o * pixels + q) * N;
          for (let n = 0; n < N; n += 4) {
            let s0 = 0;
            let s1 = 0;
            let s2 = 0;
            let s3 = 0;
            for (let c = 0; c < inChannels; c++) {
              const weights = w + (o * inChannels + c) * taps;
              const from = x + c * inPixels * N + n;
              for (let k = first; k < last; k += 2) {
                const weight = heap[weights + ends[k + 1]];
                const at = from + ends[k] * N;
                s0 += weight * heap[at];
                s1 += weight * heap[at + 1];
                s2 += weight * heap[at + 2];
                s3 += weight * heap[at + 3];
              }
            }
            heap[to + n] = s0;
            if (n + 1 < N) heap[to + n + 1] = s1;
            if (n + 2 < N) heap[to + n + 2] = s2;
            if (n + 3 < N) heap[to + n + 3] = s3;
          }
        }
      }
    }

    /** dw[o,c,t] = Σ x[c,p]·dy[o,q] over the images and the pairs (p, q) of tap t. */
    convWeights(dw, x, dy, table, pixels, inChannels, inPixels, channels, taps, N) {
      const { heap, tables } = this;
      const ends = tables[table];
      const pairs = taps + 1;
      for (let o = 0; o < channels; o++) {
        for (let c = 0; c < inChannels; c++) {
          for (let t = 0; t < taps; t++) {
            let even = 0;
            let odd = 0;
            for (let k = pairs + 2 * ends[t]; k < pairs + 2 * ends[t + 1]; k += 2) {
              const a = x + (c * inPixels + ends[k]) * N;
              const b = dy + (o * pixels + ends[k + 1]) * N;
              let n = 0;
              for (; n + 1 < N; n += 2) {
                even += heap[a + n] * heap[b + n];
                odd += heap[a + n + 1] * heap[b + n + 1];
              }
              if (n < N) even += heap[a + n] * heap[b + n];
            }
            heap[dw + (o * inChannels + c) * taps + t] = even + odd;
          }
        }
      }
    }

    /** Weights seen from the input: turned[c,o,t] = w[o,c,t]. */
    turn(turned, w, channels, inChannels, taps) {
      const { heap } = this;
      for (let o = 0; o < channels; o++) {
        for (let c = 0; c < inChannels; c++) {
          for (let t = 0; t < taps; t++) heap[turned + (c * channels + o) * taps + t] = heap[w + (o * inChannels + c) * taps + t];
        }
      }
    }

    /** Batch norm with the batch's own statistics. saved: mean and 1/√(variance + ε); running: mean and variance. */
    normTrain(y, x, scale, shift, saved, running, channels, length, epsilon, momentum) {
      const { heap } = this;
      for (let c = 0; c < channels; c++) {
        const from = x + c * length;
        const to = y + c * length;
        let sum = 0;
        for (let i = 0; i < length; i++) sum += heap[from + i];
        const mean = sum / length;
        let squares = 0;
        for (let i = 0; i < length; i++) squares += (heap[from + i] - mean) * (heap[from + i] - mean);
        const inverse = 1 / Math.sqrt(squares / length + epsilon);
        const factor = heap[scale + c] * inverse;
        const offset = heap[shift + c];
        for (let i = 0; i < length; i++) heap[to + i] = (heap[from + i] - mean) * factor + offset;
        heap[saved + c] = mean;
        heap[saved + channels + c] = inverse;
        heap[running + c] += momentum * (mean - heap[running + c]);
        // PyTorch keeps the unbiased variance.
        heap[running + channels + c] += momentum * (squares / (length - 1) - heap[running + channels + c]);
      }
    }

    /** Batch norm with the running statistics. */
    normEval(y, x, scale, shift, running, channels, length, epsilon) {
      const { heap } = this;
      for (let c = 0; c < channels; c++) {
        const mean = heap[running + c];
        const factor = heap[scale + c] / Math.sqrt(heap[running + channels + c] + epsilon);
        const offset = heap[shift + c];
        for (let i = c * length; i < (c + 1) * length; i++) heap[y + i] = (heap[x + i] - mean) * factor + offset;
      }
    }

    normBackward(dx, dscale, dshift, dy, x, scale, saved, channels, length) {
      const { heap } = this;
      for (let c = 0; c < channels; c++) {
        const mean = heap[saved + c];
        const inverse = heap[saved + channels + c];
        let sum = 0;
        let dot = 0;
        for (let i = c * length; i < (c + 1) * length; i++) {
          sum += heap[dy + i];
          dot += heap[dy + i] * (heap[x + i] - mean);
        }
        heap[dshift + c] = sum;
        heap[dscale + c] = dot * inverse;
        const factor = heap[scale + c] * inverse;
        const level = sum / length;
        const slope = (dot / length) * inverse * inverse;
        for (let i = c * length; i < (c + 1) * length; i++) {
          heap[dx + i] = (heap[dy + i] - level - (heap[x + i] - mean) * slope) * factor;
        }
      }
    }

    /** max(0, x); what is not a number stays so, or a run that diverged would look alive. */
    relu(y, x, length) {
      const { heap } = this;
      for (let i = 0; i < length; i++) heap[y + i] = heap[x + i] <= 0 ? 0 : heap[x + i];
    }

    reluBackward(dx, dy, y, length) {
      const { heap } = this;
      for (let i = 0; i < length; i++) heap[dx + i] = heap[y + i] <= 0 ? 0 : heap[dy + i];
    }

    add(y, a, b, length) {
      const { heap } = this;
      for (let i = 0; i < length; i++) heap[y + i] = heap[a + i] + heap[b + i];
    }

    multiply(y, a, b, length) {
      const { heap } = this;
      for (let i = 0; i < length; i++) heap[y + i] = heap[a + i] * heap[b + i];
    }

    scale(y, x, factor, length) {
      const { heap } = this;
      for (let i = 0; i < length; i++) heap[y + i] = heap[x + i] * factor;
    }

    dot(a, b, length) {
      const { heap } = this;
      let sum = 0;
      for (let i = 0; i < length; i++) sum += heap[a + i] * heap[b + i];
      return sum;
    }

    /** 0 with this probability (in 2⁻³²), 1/(1 − probability) otherwise; a generator of Marsaglia's, xorshift. */
    dropMask(y, threshold, keep, seed, length) {
      const { heap } = this;
      let state = seed | 0 || 1;
      for (let i = 0; i < length; i++) {
        state ^= state << 13;
        state ^= state >>> 17;
        state ^= state << 5;
        heap[y + i] = state >>> 0 < threshold ? 0 : keep;
      }
    }

    /** Momentum and weight decay as in torch.optim.SGD: v ← m·v + g + d·w, w ← w − rate·v. */
    sgd(w, gradient, velocity, length, rate, momentum, decay) {
      const { heap } = this;
      for (let i = 0; i < length; i++) {
        const v = momentum * heap[velocity + i] + (heap[gradient + i] + decay * heap[w + i]);
        heap[velocity + i] = v;
        heap[w + i] -= rate * v;
      }
    }
  }

  Object.assign(net, { JavaScriptKernels });
});
