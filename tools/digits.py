"""Write scikit-learn's handwritten digits into resnet_edu/explorers/net/digits.js: one letter a pixel, a to q.

python tools/digits.py
"""

from pathlib import Path

TARGET = Path(__file__).parent.parent / "resnet_edu/explorers/net/digits.js"
#: The forms of one writer follow each other. The images from here on were written by people who wrote none before.
CUT = 1415


def script() -> str:
    """The data as a part of the engine.

    >>> script().count("net.DIGITS")
    1
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    pixels = "".join(chr(97 + int(value)) for value in bunch.data.ravel())
    labels = "".join(str(label) for label in bunch.target)
    return (
        "/* The digits of scikit-learn (UCI, Alpaydin and Kaynak 1998, CC BY 4.0).\n"
        " * Made by tools/digits.py; not to be edited. */\n"
        'ResnetEdu.net.part("digits", function (net) {\n'
        f"  const CUT = {CUT};\n"
        f'  const LABELS = "{labels}";\n'
        f'  const PIXELS = "{pixels}";\n'
        """
  /** Images with mean 0 and deviation 1 over the training set: {train, test, side, mean, deviation}. */
  net.digits = () => {
    const raw = Float64Array.from(PIXELS, (letter) => (letter.charCodeAt(0) - 97) / 16);
    const known = CUT * 64;
    let mean = 0;
    for (let i = 0; i < known; i++) mean += raw[i];
    mean /= known;
    let squares = 0;
    for (let i = 0; i < known; i++) squares += (raw[i] - mean) * (raw[i] - mean);
    const deviation = Math.sqrt(squares / (known - 1));
    const images = raw.map((value) => (value - mean) / deviation);
    const labels = Int32Array.from(LABELS, Number);
    return {
      train: { images: images.subarray(0, known), labels: labels.subarray(0, CUT) },
      test: { images: images.subarray(known), labels: labels.subarray(CUT) },
      side: 8,
      mean,
      deviation,
    };
  };
});
"""
    )


if __name__ == "__main__":
    TARGET.write_text(script(), encoding="utf-8")
    print(f"{TARGET.name}: {TARGET.stat().st_size:,} bytes")
