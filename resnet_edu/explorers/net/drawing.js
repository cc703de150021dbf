/**
 * From a stroke of the pen to 8×8 numbers, by the rules of the digits that the network learned: upright, as high as the
 * bitmap, 313 of 1,024 pixels inked, each 4×4 cell counted. resnet_edu.training.strokes is the same in Python.
 */
ResnetEdu.net.part("drawing", function (net) {
  const SIDE = 32;
  const INK = 313;
  const WIDTH = 22;
  const NARROWEST = 0.35;
  const SLANT = 0.6;
  const RADIUS = [1, 5];

  const clamp = (value, [low, high]) => Math.min(Math.max(value, low), high);

  /** Shear so that x and y vary independently along the lines. */
  function upright(lines) {
    let total = 0;
    let [mx, my] = [0, 0];
    const pieces = [];
    for (const line of lines) {
      for (let i = 1; i < line.length; i++) {
        const [[ax, ay], [bx, by]] = [line[i - 1], line[i]];
        const weight = Math.hypot(bx - ax, by - ay);
        const [x, y] = [(ax + bx) / 2, (ay + by) / 2];
        pieces.push([weight, x, y, bx - ax, by - ay]);
        total += weight;
        mx += weight * x;
        my += weight * y;
      }
    }
    total = Math.max(total, 1e-12);
    mx /= total;
    my /= total;
    let [down, across] = [0, 0];
    // A piece of a line varies around its middle by a twelfth of its length squared.
    for (const [weight, x, y, dx, dy] of pieces) {
      down += weight * ((y - my) * (y - my) + (dy * dy) / 12);
      across += weight * ((x - mx) * (y - my) + (dx * dy) / 12);
    }
    const slant = clamp(down > 1e-12 ? across / down : 0, [-SLANT, SLANT]);
    return { slant, lines: lines.map((line) => line.map(([x, y]) => [x - slant * (y - my), y])) };
  }

  /** {slant, upright, scaled, bitmap, counts}: each step of the way. Lines of points [x, y], y downward. */
  function prepare(strokes) {
    const drawn = strokes.filter((line) => line.length)
      .map((line) => (line.length > 1 ? line : [line[0], [line[0][0] + 1e-3, line[0][1] + 1e-3]]));
    if (!drawn.length) return null;
    const { slant, lines } = upright(drawn);
    const points = lines.flat();
    const [low, high] = [Math.min, Math.max].map((pick) => [0, 1].map((axis) => points.reduce((best, p) => pick(best, p[axis]), points[0][axis])));
    let width = Math.max(high[0] - low[0], 1e-9);
    const height = Math.max(high[1] - low[1], 1e-9, 1e-3 * width);
    width = Math.max(width, NARROWEST * height);
    const middle = [(low[0] + high[0]) / 2, (low[1] + high[1]) / 2];
    let radius = 2.5;
    let scaled = lines;
    for (let round = 0; round < 4; round++) {
      const scale = [(WIDTH - 2 * radius) / width, (SIDE - 2 * radius) / height];
      scaled = lines.map((line) => line.map((p) => [0, 1].map((axis) => (p[axis] - middle[axis]) * scale[axis] + SIDE / 2)));
      let length = 0;
      for (const line of scaled) {
        for (let i = 1; i < line.length; i++) length += Math.hypot(line[i][0] - line[i - 1][0], line[i][1] - line[i - 1][1]);
      }
      radius = clamp(INK / (2 * Math.max(length, 1)), RADIUS);
    }
    const distances = new Float64Array(SIDE * SIDE).fill(Infinity);
    for (const line of scaled) {
      for (let i = 1; i < line.length; i++) {
        const [[ax, ay], [bx, by]] = [line[i - 1], line[i]];
        const [dx, dy] = [bx - ax, by - ay];
        const square = dx * dx + dy * dy;
        for (let p = 0; p < SIDE * SIDE; p++) {
          const [x, y] = [(p % SIDE) + 0.5, Math.floor(p / SIDE) + 0.5];
          const share = square > 0 ? clamp(((x - ax) * dx + (y - ay) * dy) / square, [0, 1]) : 0;
          distances[p] = Math.min(distances[p], Math.hypot(x - ax - share * dx, y - ay - share * dy));
        }
      }
    }
    // Pixels that are equally far stay so, whatever the last bit says.
    for (let p = 0; p < SIDE * SIDE; p++) distances[p] = Math.round(distances[p] * 1e6) / 1e6;
    const limit = clamp(Float64Array.from(distances).sort()[INK - 1], RADIUS);
    const bitmap = Array.from(distances, (d) => d <= limit);
    return { slant, upright: lines, scaled, bitmap, counts: count(bitmap) };
  }

  /** Inked pixels of each 4×4 cell. */
  function count(bitmap) {
    const counts = new Array(64).fill(0);
    bitmap.forEach((inked, p) => {
      if (inked) counts[Math.floor(p / SIDE / 4) * 8 + Math.floor((p % SIDE) / 4)]++;
    });
    return counts;
  }

  Object.assign(net, { prepareDrawing: prepare });
});
