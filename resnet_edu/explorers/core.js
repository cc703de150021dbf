/**
 * Every shape and cost of a ResNet from its recipe, in the browser: a port of resnet_edu.counting.recipes,
 * resnet_edu.counting.arithmetic and resnet_edu.counting.steps. Python is the reference, down to the sentences of the
 * errors; tests/explorers/test_explorers.py holds the two against each other.
 *
 * A classic script, so that it works from file://; node loads the same file for its tests.
 */
(function (root) {
  "use strict";
  const RE = (root.ResnetEdu = root.ResnetEdu || {});
  if (RE.steps) return; // a second output in the same notebook brings the same script again

  /** Convolutions on the longest path through one block. */
  const CONVS_IN_BLOCK = { basic: 2, bottleneck: 3, plain: 2 };
  /** Channels that leave a block, as a multiple of its width. */
  const EXPANSION = { basic: 1, bottleneck: 4, plain: 1 };
  /** Kernel size of each stem's convolution. */
  const STEM_KERNEL = { imagenet: 7, cifar: 3 };

  const IMAGENET = {
    18: ["basic", [2, 2, 2, 2]],
    34: ["basic", [3, 4, 6, 3]],
    50: ["bottleneck", [3, 4, 6, 3]],
    101: ["bottleneck", [3, 4, 23, 3]],
    152: ["bottleneck", [3, 8, 36, 3]],
  };

  const DEFAULTS = {
    block: "basic",
    layers: [2, 2, 2, 2],
    widths: [64, 128, 256, 512],
    stem: "imagenet",
    shortcut: "B",
    stride_in: "3x3",
    in_channels: 3,
    num_classes: 1000,
  };

  /** What Python's ValueError and TypeError are here: a setting that cannot be, told in a sentence. */
  class SettingError extends Error {}

  /** A value as Python's repr prints it, because the sentences quote values. */
  function repr(value) {
    if (Array.isArray(value)) return `(${value.map(repr).join(", ")}${value.length === 1 ? "," : ""})`;
    if (typeof value === "string") return value.includes("'") && !value.includes('"') ? `"${value}"` : `'${value}'`;
    return String(value);
  }

  /* ---- recipes.py ---------------------------------------------------------------------------- */

  function checkChoice(name, value, choices) {
    if (!choices.includes(value)) {
      throw new SettingError(`${name} must be one of ${choices.map(repr).join(", ")}, got ${repr(value)}`);
    }
  }

  function checkCount(name, value) {
    if (!Number.isInteger(value) || value < 1) {
      throw new SettingError(`${name} must be a whole number of at least 1, got ${repr(value)}`);
    }
  }

  function checkLayers(layers, widths) {
    if (layers.length !== widths.length || !layers.length) {
      throw new SettingError(
        `layers needs one count of blocks for each of the ${widths.length} widths ${repr(widths)}, ` +
          `got ${layers.length}: ${repr(layers)}`
      );
    }
    for (const count of [...layers, ...widths]) checkCount("every entry of layers and widths", count);
  }

  function checkImage(shape, inChannels) {
    if (shape.length !== 3) {
      throw new SettingError(`an image is (channels, height, width), got ${shape.length} numbers: ${repr(shape)}`);
    }
    const [channels, height, width] = shape;
    if (channels !== inChannels) {
      const hint = width === inChannels ? " (height, width, channels? permute it)" : "";
      throw new SettingError(
        `this network takes images with ${inChannels} channels, got ${channels} in ${repr(shape)}${hint}`
      );
    }
    // Each window is padded by half its size, so it fits on a single pixel, and so do all that follow.
    if (Math.min(height, width) < 1) {
      throw new SettingError(`an image has at least 1 pixel a side, got ${height}×${width}`);
    }
  }

  /** The fields of a recipe, completed from the defaults and checked. */
  function makeRecipe(fields) {
    const plan = { ...DEFAULTS, ...fields };
    checkChoice("block", plan.block, Object.keys(CONVS_IN_BLOCK));
    checkChoice("stem", plan.stem, Object.keys(STEM_KERNEL));
    checkChoice("stride_in", plan.stride_in, ["3x3", "1x1"]);
    // A plain net is the same net without its shortcuts, so any option means none.
    if (plan.block === "plain") plan.shortcut = "none";
    else checkChoice("shortcut", plan.shortcut, ["A", "B", "C"]);
    checkLayers(plan.layers, plan.widths);
    if (plan.shortcut === "A" && plan.widths.some((width, i) => width < plan.widths[i - 1])) {
      throw new SettingError(
        "zero-padding can add channels but not remove them, so under option A no width may shrink, " +
          `got ${repr(plan.widths)}; use option B, a projection`
      );
    }
    checkCount("in_channels", plan.in_channels);
    checkCount("num_classes", plan.num_classes);
    return plan;
  }

  function cifarRecipe(depth) {
    const n = Math.floor((depth - 2) / 6);
    if (depth - 2 !== 6 * n || n < 1) {
      const lower = 6 * n + 2;
      const nearest = n < 1 ? "8" : `${lower} (n = ${n}) and ${lower + 6} (n = ${n + 1})`;
      throw new SettingError(
        "a CIFAR ResNet has 6n + 2 layers: the stem, three layers of n blocks with two convolutions each, " +
          `and the classifier. ${depth} is not of that form; the nearest: ${nearest}`
      );
    }
    return { block: "basic", layers: [n, n, n], widths: [16, 32, 64], stem: "cifar", shortcut: "A", num_classes: 10 };
  }

  /** The recipe with this name, with changes: recipe("resnet50", {stride_in: "1x1"}). */
  function recipe(name, changes = {}) {
    const match = /^(resnet|plain|cifar_plain|cifar)_?(\d+)$/.exec(name);
    if (!match) {
      throw new SettingError(
        `no network is called ${repr(name)}: expected resnet18, resnet34, resnet50, resnet101, resnet152, ` +
          "plain18, plain34, or cifar20 and cifar_plain20 with any depth 6n + 2"
      );
    }
    const family = match[1];
    const depth = Number(match[2]);
    let base;
    if (family.startsWith("cifar")) {
      base = cifarRecipe(depth);
    } else {
      const valid = Object.keys(IMAGENET)
        .map(Number)
        .filter((d) => family === "resnet" || IMAGENET[d][0] === "basic");
      if (!valid.includes(depth)) {
        const nearest = valid.reduce((best, d) => (Math.abs(d - depth) < Math.abs(best - depth) ? d : best));
        throw new SettingError(`${family} has depths ${valid.join(", ")}, got ${depth}; the nearest is ${nearest}`);
      }
      base = { block: IMAGENET[depth][0], layers: IMAGENET[depth][1] };
    }
    if (family.endsWith("plain")) base = { ...base, block: "plain" };
    const unknown = Object.keys(changes).filter((field) => !(field in DEFAULTS));
    if (unknown.length) {
      throw new SettingError(
        `a recipe has no ${unknown.sort().join(", ")}; it has ${Object.keys(DEFAULTS).join(", ")}`
      );
    }
    return makeRecipe({ ...base, ...changes });
  }

  /** Weighted layers on the longest path: the stem's convolution, the blocks', the classifier. */
  function depthOf(plan) {
    return 1 + CONVS_IN_BLOCK[plan.block] * plan.layers.reduce((a, b) => a + b, 0) + 1;
  }

  /* ---- arithmetic.py ------------------------------------------------------------------------- */

  /** Pixels along one side that leave a convolution or a pooling: ⌊(size + 2p − reach)/s⌋ + 1. */
  function convOut(size, kernel, stride = 1, padding = 0, dilation = 1) {
    if (Math.min(size, kernel, stride, dilation) < 1 || padding < 0) {
      throw new SettingError(
        "size, kernel, stride and dilation must be at least 1 and padding at least 0, " +
          `got ${size}, ${kernel}, ${stride}, ${dilation} and ${padding}`
      );
    }
    const reach = dilation * (kernel - 1) + 1;
    if (reach > size + 2 * padding) {
      throw new SettingError(
        `the kernel does not fit: it reaches over ${reach} pixels, the padded input has ` +
          `${size} + 2·${padding} = ${size + 2 * padding}; pad more or take a smaller kernel`
      );
    }
    return Math.floor((size + 2 * padding - reach) / stride) + 1;
  }

  /**
   * Every operation on an image's way through the network, in the order of the forward pass.
   * The model is a recipe's name (then changes are its fields) or what recipe() returns.
   */
  function steps(model = "resnet18", image = [3, 224, 224], changes = {}) {
    const plan = typeof model === "string" ? recipe(model, changes) : model;
    checkImage(image, plan.in_channels);
    const rows = [];
    // Where the image is on its way: its shape, the side of the square that a cell sees, and how
    // many input pixels lie between two neighboring cells.
    let at = { shape: image, field: 1, jump: 1 };
    at = stem(rows, at, plan);
    plan.layers.forEach((blocks, index) => {
      for (let block = 0; block < blocks; block++) {
        // Only the first block of a layer may change the shape; layer1 keeps what the stem made.
        const stride = block === 0 && index > 0 ? 2 : 1;
        at = residualBlock(rows, `layer${index + 1}.${block}.`, at, plan.widths[index], stride, plan);
      }
    });
    head(rows, at, plan.num_classes);
    return rows;
  }

  function stem(rows, at, plan) {
    const width = plan.widths[0];
    at = conv(rows, "conv1", at, width, STEM_KERNEL[plan.stem], plan.stem === "imagenet" ? 2 : 1);
    at = same(rows, "bn1", "batch norm", at, 2 * width);
    at = same(rows, "relu", "ReLU", at);
    if (plan.stem === "imagenet") {
      const [channels, height, side] = at.shape;
      const output = [channels, Math.floor((height - 1) / 2) + 1, Math.floor((side - 1) / 2) + 1];
      const field = at.field + 2 * at.jump;
      rows.push(step("maxpool", "max-pool 3×3/2", at.shape, output, 0, 0, field));
      at = { shape: output, field, jump: 2 * at.jump };
    }
    return at;
  }

  function residualBlock(rows, room, at, width, stride, plan) {
    const start = at;
    const outChannels = width * EXPANSION[plan.block];
    let convs;
    if (plan.block === "bottleneck") {
      const [first, second] = plan.stride_in === "1x1" ? [stride, 1] : [1, stride];
      convs = [[width, 1, first], [width, 3, second], [outChannels, 1, 1]];
    } else {
      convs = [[width, 3, stride], [width, 3, 1]];
    }
    convs.forEach(([channels, kernel, stepping], index) => {
      at = conv(rows, `${room}conv${index + 1}`, at, channels, kernel, stepping);
      at = same(rows, `${room}bn${index + 1}`, "batch norm", at, 2 * channels);
      if (index + 1 < convs.length) at = same(rows, `${room}relu`, "ReLU", at);
    });
    if (plan.block !== "plain") {
      const changed = stride !== 1 || start.shape[0] !== outChannels;
      if (plan.shortcut === "C" || (plan.shortcut === "B" && changed)) {
        const projected = conv(rows, `${room}downsample.0`, start, outChannels, 1, stride);
        same(rows, `${room}downsample.1`, "batch norm", projected, 2 * outChannels);
      } else if (changed) {
        const operation = stride === 1 ? "zero-pad" : `zero-pad/${stride}`;
        rows.push(step(`${room}downsample`, operation, start.shape, at.shape, 0, 0, start.field));
      }
      // The convolutions see at least as far as the shortcut, so their field is the sum's.
      at = same(rows, `${room}add`, "add", at);
    }
    return same(rows, `${room}relu`, "ReLU", at);
  }

  function head(rows, at, numClasses) {
    const [features, height, width] = at.shape;
    const field = at.field + (Math.max(height, width) - 1) * at.jump;
    rows.push(step("avgpool", "average pool", at.shape, [features, 1, 1], 0, 0, field));
    rows.push(step("flatten", "flatten", [features, 1, 1], [features], 0, 0, field));
    const weights = features * numClasses;
    rows.push(step("fc", "linear", [features], [numClasses], weights + numClasses, weights, field));
  }

  function conv(rows, room, at, outChannels, kernel, stride) {
    let [inChannels, height, width] = at.shape;
    // ⌊(H + 2·⌊k/2⌋ − k)/s⌋ + 1 with an odd kernel k: the padding takes back what the kernel takes.
    height = Math.floor((height - 1) / stride) + 1;
    width = Math.floor((width - 1) / stride) + 1;
    const output = [outChannels, height, width];
    const weights = kernel * kernel * inChannels * outChannels;
    const field = at.field + (kernel - 1) * at.jump;
    const operation = `conv ${kernel}×${kernel}${stride === 1 ? "" : `/${stride}`}`;
    rows.push(step(room, operation, at.shape, output, weights, weights * height * width, field));
    return { shape: output, field, jump: at.jump * stride };
  }

  function same(rows, room, operation, at, parameters = 0) {
    rows.push(step(room, operation, at.shape, at.shape, parameters, 0, at.field));
    return at;
  }

  function step(room, operation, input, output, parameters, multiplyAdds, receptiveField) {
    return { room, operation, input, output, parameters, multiplyAdds, receptiveField };
  }

  /* ---- steps.py ------------------------------------------------------------------------------ */

  const STEM = new Set(["conv1", "bn1", "relu", "maxpool"]);
  const HEAD = new Set(["avgpool", "flatten", "fc"]);

  /** The part of the network that a room belongs to: stem, layer1 …, or head. */
  function layerOf(room) {
    const first = room.split(".", 1)[0];
    return STEM.has(first) ? "stem" : HEAD.has(first) ? "head" : first;
  }

  /** The block that a room belongs to; outside the layers, the part of the network. */
  function blockOf(room) {
    const layer = layerOf(room);
    return layer.startsWith("layer") ? room.split(".", 2).join(".") : layer;
  }

  const byLayer = (rows) => summed(rows, layerOf);
  const byBlock = (rows) => summed(rows, blockOf);

  function summed(rows, key) {
    const groups = [];
    for (const row of rows) {
      const name = key(row.room);
      const last = groups[groups.length - 1];
      if (last && last.room === name) {
        last.count += 1;
        last.output = row.output;
        last.parameters += row.parameters;
        last.multiplyAdds += row.multiplyAdds;
        last.receptiveField = row.receptiveField;
      } else {
        groups.push({ ...row, room: name, count: 1 });
      }
    }
    return groups.map(({ count, ...group }) => ({
      ...group,
      operation: `${count} operation${count > 1 ? "s" : ""}`,
    }));
  }

  function total(rows) {
    let parameters = 0;
    let multiplyAdds = 0;
    for (const row of rows) {
      parameters += row.parameters;
      multiplyAdds += row.multiplyAdds;
    }
    return { parameters, multiplyAdds };
  }

  /* ---- one network as the reader sets it ------------------------------------------------------ */

  /**
   * The two lines of Python that build exactly this network. The setting is a name and the fields
   * that may differ from it; what equals the name's own recipe is left out.
   */
  function toPython({ model, ...changes }) {
    const own = recipe(model);
    const plan = recipe(model, changes);
    const keywords = [];
    for (const field of ["num_classes", "stem", "shortcut", "stride_in"]) {
      if (plan[field] === own[field]) continue;
      if (field === "stride_in" && plan.block !== "bottleneck") continue;
      keywords.push(`${field}=${typeof plan[field] === "string" ? `"${plan[field]}"` : plan[field]}`);
    }
    const [, family, depth] = /^(\D+?)_?(\d+)$/.exec(model);
    let imported = `${family}${depth}`;
    let first = [];
    if (family.startsWith("cifar")) {
      imported = "cifar_resnet";
      first = family === "cifar" ? [depth] : [depth, "plain=True"];
    } else if (family === "plain") {
      imported = "PlainBlock, ResNet";
      first = ["PlainBlock", `[${plan.layers.join(", ")}]`];
    }
    const called = imported.split(", ").pop();
    return `from resnet_edu import ${imported}\nmodel = ${called}(${[...first, ...keywords].join(", ")})`;
  }

  /* ---- numbers for people -------------------------------------------------------------------- */

  /** 11689512 → "11,689,512". */
  const grouped = (number) => String(number).replace(/\B(?=(\d{3})+$)/g, ",");

  /** 11689512 → "11.7 M", 1814073344 → "1.81 G": three figures and a prefix. */
  function short(number) {
    if (number < 1000) return String(number);
    // 999,500 rounds to 1,000 k, so the prefix is chosen after rounding to three figures.
    const rounded = Number(number.toPrecision(3));
    const power = Math.min(4, Math.floor(Math.log10(rounded) / 3 + 1e-9));
    return `${(rounded / 1000 ** power).toPrecision(3)} ${" kMGT"[power]}`;
  }

  /** [1024, 14, 14] → "1024×14×14", [1000] → "1,000": the sides of a shape are as PyTorch prints them. */
  const shapeText = (shape) => (shape.length === 1 ? grouped(shape[0]) : shape.join("×"));

  /* ---- what PyTorch says where two shapes meet ------------------------------------------------ */

  /**
   * `a + b` for two tensors of these shapes: {shape} where they match, {shape, broadcast: true}
   * where PyTorch stretches one silently, {error} with its own sentence where it refuses.
   */
  function addShapes(a, b) {
    const dimensions = Math.max(a.length, b.length);
    const shape = [];
    for (let i = dimensions - 1; i >= 0; i--) {
      const left = a[i - (dimensions - a.length)] ?? 1;
      const right = b[i - (dimensions - b.length)] ?? 1;
      if (left !== right && left !== 1 && right !== 1) {
        return {
          error:
            `The size of tensor a (${left}) must match the size of tensor b (${right}) ` +
            `at non-singleton dimension ${i}`,
        };
      }
      shape.unshift(left === 1 ? right : left);
    }
    return { shape, broadcast: repr(a) !== repr(b) };
  }

  /**
   * One block apart from its network, as the shortcut explorer shows it: the operations on the
   * residual path, what the chosen shortcut gives, and what it costs. Kinds: "basic", "bottleneck",
   * and "preactivation", two 3×3 with batch norm and ReLU in front of each (He et al. 2016, Figure 1b).
   */
  function block({ kind, inChannels, channels, stride, size, shortcut, strideIn = "3x3" }) {
    checkChoice("kind", kind, ["basic", "bottleneck", "preactivation"]);
    checkChoice("shortcut", shortcut, ["identity", "A", "B", "C"]);
    checkChoice("stride_in", strideIn, ["3x3", "1x1"]);
    checkCount("in_channels", inChannels);
    checkCount("channels", channels);
    checkCount("stride", stride);
    checkCount("size", size);
    const start = { shape: [inChannels, size, size], field: 1, jump: 1 };
    let residual = [];
    if (kind === "preactivation") {
      let at = start;
      for (const [number, stepping] of [[1, stride], [2, 1]]) {
        at = same(residual, `bn${number}`, "batch norm", at, 2 * at.shape[0]);
        at = same(residual, "relu", "ReLU", at);
        at = conv(residual, `conv${number}`, at, channels, 3, stepping);
      }
    } else {
      const plan = { block: kind, shortcut: "A", stride_in: strideIn };
      residualBlock(residual, "", start, channels, stride, plan);
      residual = residual.filter(({ room }) => !room.startsWith("downsample") && room !== "add");
      residual.pop(); // the last ReLU comes after the addition, it is no part of the residual
    }
    const output = residual[residual.length - 1].output;
    const options = {};
    for (const option of ["identity", "A", "B", "C"]) options[option] = shortcutOf(option, start, output, stride, kind);
    const chosen = options[shortcut];
    return {
      input: start.shape,
      residual,
      output,
      options,
      chosen,
      sum: chosen.error ? { error: chosen.error } : addShapes([1, ...output], [1, ...chosen.shape]),
      after: kind === "preactivation" ? [] : ["ReLU"],
    };
  }

  function shortcutOf(option, start, output, stride, kind) {
    const changed = stride !== 1 || start.shape[0] !== output[0];
    const rows = [];
    if (option === "C" || (option === "B" && changed)) {
      const at = conv(rows, "downsample.0", start, output[0], 1, stride);
      // The pre-activation code that its authors released projects without a batch norm.
      if (kind !== "preactivation") same(rows, "downsample.1", "batch norm", at, 2 * output[0]);
      return { kind: "projection", rows, shape: at.shape, fits: true, ...total(rows) };
    }
    if (option === "A" && changed) {
      if (output[0] < start.shape[0]) {
        const error =
          `zero-padding can add channels but not remove them, got ${start.shape[0]} → ${output[0]}; ` +
          "use option B, a projection";
        return { kind: "zero-pad", rows, error, shape: null, fits: false, parameters: 0, multiplyAdds: 0 };
      }
      rows.push(step("downsample", stride === 1 ? "zero-pad" : `zero-pad/${stride}`, start.shape, output, 0, 0, 1));
      return { kind: "zero-pad", rows, shape: output, fits: true, parameters: 0, multiplyAdds: 0 };
    }
    const fits = repr(start.shape) === repr(output);
    return { kind: "identity", rows, shape: start.shape, fits, parameters: 0, multiplyAdds: 0 };
  }

  Object.assign(RE, {
    SettingError, recipe, makeRecipe, depthOf, convOut, steps, layerOf, blockOf, byLayer, byBlock, total,
    toPython, grouped, short, shapeText, addShapes, block, checkChoice, checkCount,
  });
  if (typeof module !== "undefined" && module.exports) module.exports = RE;
})(globalThis);
