/** The kernels of kernels.c. The binary stands in kernels-wasm.js, as text: a page from a file may not fetch one. */
ResnetEdu.net.part("wasm", function (net) {
  const PAGE = 65536;
  /** The first page belongs to the kernels' stack. */
  const START = PAGE / 4;

  class WasmKernels {
    static async load() {
      const packed = Uint8Array.from(atob(net.WASM), (letter) => letter.charCodeAt(0));
      const opener = new DecompressionStream("deflate-raw");
      const writer = opener.writable.getWriter();
      writer.write(packed); // a blob's stream cannot be read in a worker of a page from a file, in WebKit
      writer.close();
      const bytes = await new Response(opener.readable).arrayBuffer();
      const memory = new WebAssembly.Memory({ initial: 2 });
      const { instance } = await WebAssembly.instantiate(bytes, { env: { memory } });
      return new WasmKernels(memory, instance.exports);
    }

    constructor(memory, exports) {
      this.name = "WebAssembly SIMD, float32";
      this.multiple = 8; // two registers of four images
      this.memory = memory;
      this.exports = exports;
      this.top = START;
      this.look();
    }

    get bytes() {
      return this.memory.buffer.byteLength;
    }

    /** Growing takes every older view away. */
    look() {
      this.heap = new Float32Array(this.memory.buffer);
      this.integers = new Int32Array(this.memory.buffer);
    }

    alloc(length) {
      const address = this.top;
      this.top += Math.ceil(length / 4) * 4;
      const missing = this.top * 4 - this.memory.buffer.byteLength;
      if (missing > 0) {
        this.memory.grow(Math.ceil(missing / PAGE));
        this.look();
      }
      return address;
    }

    table(integers) {
      const address = this.alloc(integers.length);
      this.integers.set(integers, address);
      return address;
    }

    view(address, length) {
      return this.heap.subarray(address, address + length);
    }
  }

  // How many of the first arguments are addresses: indices here, pointers there.
  const ADDRESSES = {
    conv: 4, convWeights: 4, turn: 2, normTrain: 6, normEval: 5, normBackward: 7, relu: 2, reluBackward: 3, add: 3,
    multiply: 3, scale: 2, dot: 2, dropMask: 1, sgd: 3,
  };
  for (const [name, addresses] of Object.entries(ADDRESSES)) {
    WasmKernels.prototype[name] = function (...given) {
      for (let i = 0; i < addresses; i++) given[i] *= 4;
      return this.exports[name](...given);
    };
  }

  /** The fastest kernels that this machine has. `wanted`: "wasm", "float32" or "float64" instead. */
  async function kernels(wanted = "fastest") {
    if (wanted === "float64") return new net.JavaScriptKernels(Float64Array);
    if (wanted === "float32") return new net.JavaScriptKernels(Float32Array);
    try {
      return await WasmKernels.load();
    } catch (error) {
      if (wanted === "wasm" || !net.JavaScriptKernels) throw error;
      return new net.JavaScriptKernels(Float32Array); // no SIMD, or a policy against WebAssembly
    }
  }

  /** Do the kernels run here? Where they do not, those in JavaScript must come. */
  const fast = () => WasmKernels.load().then(() => true, () => false);

  Object.assign(net, { WasmKernels, kernels, fast });
});
