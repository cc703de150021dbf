/** A block program as Python: the same text as resnet_edu.programs.source. */
ResnetEdu.net.part("source", function (net) {
  /** A number as Python's repr prints it: 1 stays 1, 0.5 stays 0.5. */
  const repr = (value) => String(value);

  const CALLS = {
    conv3: (before, after, step) => `nn.Conv2d(${before}, ${after}, 3${step}, padding=1, bias=False)`,
    conv1: (before, after, step) => `nn.Conv2d(${before}, ${after}, 1${step}, bias=False)`,
    bn: (before, after) => `nn.BatchNorm2d(${after})`,
    relu: () => "nn.ReLU()",
    match: (before, after, step) => `make_shortcut("A", ${before}, ${after}${step})`,
    project: (before, after, step) => `make_shortcut("B", ${before}, ${after}${step})`,
    scale: (before, after, step, value) => `Scale(${repr(value)})`,
    gain: (before, after, step, value) => `Gain(${repr(value)})`,
    dropout: (before, after, step, value) => `nn.Dropout(${repr(value)})`,
  };
  const RESHAPING = ["conv3", "conv1", "match", "project"];

  function source(program) {
    const whole = net.checkProgram(program);
    const first = ["in_channels", "channels", "stride"];
    const changed = whole.branch.some((operation) => RESHAPING.includes([operation].flat()[0]));
    const paths = [["branch", whole.branch, first]];
    if (whole.shortcut?.length) paths.push(["shortcut", whole.shortcut, first]);
    if (whole.after.length) paths.push(["after", whole.after, changed ? ["channels", "channels", 1] : first]);
    const body = ["    def __init__(self, in_channels, channels, stride=1):", "        super().__init__()"];
    for (const [path, operations, start] of paths) {
      if (!operations.length) continue;
      body.push(`        self.${path} = nn.Sequential(`);
      for (const { name, value, inChannels, channels, stride } of net.layout(operations, ...start)) {
        body.push(`            ${CALLS[name](inChannels, channels, stride === 1 ? "" : `, ${stride}`, value)},`);
      }
      body.push("        )");
    }
    let value = whole.branch.length ? "self.branch(x)" : "x";
    if (whole.shortcut !== null) value += whole.shortcut.length ? " + self.shortcut(x)" : " + x";
    if (whole.after.length) value = `self.after(${value})`;
    body.push("", "    def forward(self, x):", `        return ${value}`);
    const text = body.join("\n");
    const ours = ["Gain", "Scale"].filter((name) => text.includes(`${name}(`));
    const imports = ["from torch import nn"];
    if (ours.length || text.includes("make_shortcut")) imports.push("");
    if (ours.length) imports.push(`from resnet_edu.programs import ${ours.join(", ")}`);
    if (text.includes("make_shortcut")) imports.push("from resnet_edu.shortcuts import make_shortcut");
    return [...imports, "", "", "class Block(nn.Module):", text, ""].join("\n");
  }

  Object.assign(net, { programSource: source });
});
