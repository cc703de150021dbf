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

    /**
     * y[o,q] = Σ w[o,c,t]·x[c,p] over channels and the pairs (p, t) of pixel q. Two output channels by four images
     * are summed at a time, so that what is read is used more than once; then the rest, one by one.
     */
    conv(y, x, w, table, pixels, inChannels, inPixels, channels, taps, N) {
      const even = N % 4 === 0 ? channels - (channels % 2) : 0;
      const row = inChannels * taps;
      for (let o = 0; o < even; o += 2) this.convTwo(y + o * pixels * N, x, w + o * row, this.tables[table], pixels, inChannels, inPixels, taps, N);
      for (let o = even; o < channels; o++) this.convOne(y + o * pixels * N, x, w + o * row, this.tables[table], pixels, inChannels, inPixels, taps, N);
    }

    convTwo(y, x, w, table, pixels, inChannels, inPixels, taps, N) {
      const { heap } = this;
      const row = inChannels * taps;
      for (let q = 0; q < pixels; q++) {
        const first = pixels + 1 + 2 * table[q];
        const last = pixels + 1 + 2 * table[q + 1];
        for (let n = 0; n < N; n += 4) {
          let a0 = 0, a1 = 0, a2 = 0, a3 = 0, b0 = 0, b1 = 0, b2 = 0, b3 = 0;
          for (let c = 0; c < inChannels; c++) {
            const weights = w + c * taps;
            const from = x + c * inPixels * N + n;
            for (let k = first; k < last; k += 2) {
              const at = from + table[k] * N;
              const tap = weights + table[k + 1];
              const u = heap[tap], v = heap[tap + row];
              const x0 = heap[at], x1 = heap[at + 1], x2 = heap[at + 2], x3 = heap[at + 3];
              a0 += u * x0;
              a1 += u * x1;
              a2 += u * x2;
              a3 += u * x3;
              b0 += v * x0;
              b1 += v * x1;
              b2 += v * x2;
              b3 += v * x3;
            }
          }
          const to = y + q * N + n;
          heap[to] = a0;
          heap[to + 1] = a1;
          heap[to + 2] = a2;
          heap[to + 3] = a3;
          const other = to + pixels * N;
          heap[other] = b0;
          heap[other + 1] = b1;
          heap[other + 2] = b2;
          heap[other + 3] = b3;
        }
      }
    }

    convOne(y, x, w, table, pixels, inChannels, inPixels, taps, N) {
      const { heap } = this;
      for (let q = 0; q < pixels; q++) {
        for (let n = 0; n < N; n++) {
          let sum = 0;
          for (let c = 0; c < inChannels; c++) {
            for (let k = pixels + 1 + 2 * table[q]; k < pixels + 1 + 2 * table[q + 1]; k += 2) {
              sum += heap[w + c * taps + table[k + 1]] * heap[x + (c * inPixels + table[k]) * N + n];
            }
          }
          heap[y + q * N + n] = sum;
        }
      }
    }

    /** dw[o,c,t] = Σ x[c,p]·dy[o,q] over the images and the pairs (p, q) of tap t; two of each at a time, then the rest. */
    convWeights(dw, x, dy, table, pixels, inChannels, inPixels, channels, taps, N) {
      const { heap, tables } = this;
      const ends = tables[table];
      const pairs = taps + 1;
      for (let o = 0; o < channels; o += 2) {
        const nextO = o + 1 < channels ? pixels * N : 0; // the last one of an odd number is counted twice
        for (let c = 0; c < inChannels; c += 2) {
          const nextC = c + 1 < inChannels ? inPixels * N : 0;
          for (let t = 0; t < taps; t++) {
            let s00 = 0, s01 = 0, s10 = 0, s11 = 0;
            for (let k = pairs + 2 * ends[t]; k < pairs + 2 * ends[t + 1]; k += 2) {
              const a = x + (c * inPixels + ends[k]) * N;
              const b = dy + (o * pixels + ends[k + 1]) * N;
              for (let n = 0; n < N; n++) {
                const u0 = heap[a + n], u1 = heap[a + nextC + n], v0 = heap[b + n], v1 = heap[b + nextO + n];
                s00 += u0 * v0;
                s01 += u1 * v0;
                s10 += u0 * v1;
                s11 += u1 * v1;
              }
            }
            const to = dw + (o * inChannels + c) * taps + t;
            heap[to] = s00;
            if (nextC) heap[to + taps] = s01;
            if (nextO) heap[to + inChannels * taps] = s10;
            if (nextC && nextO) heap[to + (inChannels + 1) * taps] = s11;
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
