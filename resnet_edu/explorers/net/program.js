/**
 * A block as data: what happens on the branch, on the shortcut, and after the two are added.
 *
 *   {branch: ["conv3", "bn", "relu", "conv3", "bn"], shortcut: ["match"], after: ["relu"], head: []}
 *
 * `shortcut: []` is the identity, `shortcut: null` is none: a plain block. `head` stands once, after the last block.
 * The first operation of a path that can change a shape takes the block's width and stride.
 * resnet_edu.programs is the same in Python, down to the sentences of the errors.
 */
ResnetEdu.net.part("program", function (net) {
  /** What a program may contain. A value in brackets is written ["scale", 0.5]. */
  const OPERATIONS = {
    conv3: "a 3×3 convolution",
    conv1: "a 1×1 convolution",
    bn: "a batch norm",
    relu: "a ReLU",
    match: "the identity; where shapes differ, option A: skip pixels, pad channels with zeros",
    project: "the identity; where shapes differ, option B: a 1×1 convolution and a batch norm",
    scale: "multiply by a number",
    gain: "multiply by a number that is learned",
    dropout: "set values to 0 with this probability, in training",
  };
  const RESHAPING = ["conv3", "conv1", "match", "project"];
  const VALUES = { scale: [-4, 4], gain: [-4, 4], dropout: [0, 0.95] };
  const LONGEST = 12;

  const PRESETS = {
    original: { branch: ["conv3", "bn", "relu", "conv3", "bn"], shortcut: ["match"], after: ["relu"] },
    plain: { branch: ["conv3", "bn", "relu", "conv3", "bn"], shortcut: null, after: ["relu"] },
    projection: { branch: ["conv3", "bn", "relu", "conv3", "bn"], shortcut: ["project"], after: ["relu"] },
    "full pre-activation": {
      branch: ["bn", "relu", "conv3", "bn", "relu", "conv3"], shortcut: ["match"], after: [], head: ["bn", "relu"],
    },
    "batch norm after the addition": { branch: ["conv3", "bn", "relu", "conv3"], shortcut: ["match"], after: ["bn", "relu"] },
    "ReLU before the addition": { branch: ["conv3", "bn", "relu", "conv3", "bn", "relu"], shortcut: ["match"], after: [] },
    "ReLU-only pre-activation": { branch: ["relu", "conv3", "bn", "relu", "conv3", "bn"], shortcut: ["match"], after: [], head: ["relu"] },
    "1×1 convolution shortcut": { branch: ["conv3", "bn", "relu", "conv3", "bn"], shortcut: ["conv1"], after: ["relu"] },
    "scaled shortcut": { branch: ["conv3", "bn", "relu", "conv3", "bn"], shortcut: ["match", ["scale", 0.5]], after: ["relu"] },
    "both scaled": {
      branch: ["conv3", "bn", "relu", "conv3", "bn", ["scale", 0.5]], shortcut: ["match", ["scale", 0.5]], after: ["relu"],
    },
    "dropout on the shortcut": { branch: ["conv3", "bn", "relu", "conv3", "bn"], shortcut: ["match", ["dropout", 0.5]], after: ["relu"] },
    "no ReLU after the addition": { branch: ["conv3", "bn", "relu", "conv3", "bn"], shortcut: ["match"], after: [] },
    "no batch norm": { branch: ["conv3", "relu", "conv3"], shortcut: ["match"], after: ["relu"] },
    "no batch norm, learned gain": { branch: ["conv3", "relu", "conv3", ["gain", 0]], shortcut: ["match"], after: ["relu"] },
  };

  /** What cannot be built, told in a sentence. */
  class ProgramError extends Error {}

  const nameOf = (operation) => (Array.isArray(operation) ? operation[0] : operation);
  const valueOf = (operation) => (Array.isArray(operation) ? operation[1] : null);

  /** The program with every path written out. Throws a ProgramError that names what was wrong. */
  function check(program) {
    if (program === null || typeof program !== "object" || Array.isArray(program)) {
      throw new ProgramError("a block is {branch, shortcut, after, head}, each a list of operations");
    }
    const whole = { branch: [], shortcut: null, after: [], head: [], ...program };
    for (const path of Object.keys(whole)) {
      if (!["branch", "shortcut", "after", "head"].includes(path)) {
        throw new ProgramError(`a block has branch, shortcut, after and head, not ${path}`);
      }
      if (path === "shortcut" && whole.shortcut === null) continue;
      if (!Array.isArray(whole[path])) throw new ProgramError(`${path} must be a list of operations`);
      if (whole[path].length > LONGEST) throw new ProgramError(`${path} has ${whole[path].length} operations; ${LONGEST} is the most`);
      for (const operation of whole[path]) {
        const name = nameOf(operation);
        const value = valueOf(operation);
        if (!Object.hasOwn(OPERATIONS, name)) {
          throw new ProgramError(`there is no operation ${name}; there are ${Object.keys(OPERATIONS).join(", ")}`);
        }
        const range = VALUES[name];
        if (range && !(typeof value === "number" && value >= range[0] && value <= range[1])) {
          throw new ProgramError(`${name} needs a number from ${range[0]} to ${range[1]}, as in ["${name}", ${range[1] / 2 || 0.5}]`);
        }
        if (!range && Array.isArray(operation)) throw new ProgramError(`${name} takes no number`);
        if (path === "head" && RESHAPING.includes(name)) {
          throw new ProgramError(`${name} cannot stand in head, which only norms, ReLUs and scales what the last block gives`);
        }
      }
    }
    return whole;
  }

  /** The operations of a path with their channels and strides: [{name, value, inChannels, channels, stride}]. */
  function layout(path, inChannels, channels, stride) {
    let at = inChannels;
    let pending = true;
    return path.map((operation) => {
      const name = nameOf(operation);
      const before = at;
      let stepping = 1;
      if (pending && RESHAPING.includes(name)) {
        pending = false;
        stepping = stride;
        at = channels;
      }
      return { name, value: valueOf(operation), inChannels: before, channels: at, stride: stepping };
    });
  }

  /** Channels and side at the end of a path. */
  function endOf(operations, inChannels, side) {
    let at = [inChannels, side];
    for (const { channels, stride } of operations) at = [channels, Math.ceil(at[1] / stride)];
    return at;
  }

  /** One block with every shape, or a ProgramError with both shapes where its ends cannot be added. */
  function block(program, inChannels, channels, stride, side) {
    const { branch, shortcut, after } = check(program);
    const found = { branch: layout(branch, inChannels, channels, stride), shortcut: null };
    const end = endOf(found.branch, inChannels, side);
    if (shortcut !== null) {
      found.shortcut = layout(shortcut, inChannels, channels, stride);
      const other = endOf(found.shortcut, inChannels, side);
      if (String(end) !== String(other)) {
        const shape = ([c, s]) => `${c}×${s}×${s}`;
        throw new ProgramError(
          `cannot add: the branch gives ${shape(end)}, the shortcut gives ${shape(other)}; ` +
            "put match, project or a convolution on the path that does not change its shape"
        );
      }
    }
    // Where nothing on the branch can change the shape, that is left to what follows the addition.
    const changed = found.branch.some(({ name }) => RESHAPING.includes(name));
    found.after = layout(after, end[0], channels, changed ? 1 : stride);
    found.end = endOf(found.after, ...end);
    if (String(found.end) !== String([channels, Math.ceil(side / stride)])) {
      throw new ProgramError(
        `the block must take ${inChannels} channels to ${channels} with stride ${stride}, and gives ` +
          `${found.end[0]}×${found.end[1]}×${found.end[1]}; put a convolution on its branch`
      );
    }
    return found;
  }

  Object.assign(net, { OPERATIONS, PRESETS, ProgramError, checkProgram: check, layout, planBlock: block });
});
