"""Drawings become numbers by rules that can be checked by hand, and the pens draw what they always drew."""

import math

import numpy as np
import pytest

from resnet_edu.training import strokes
from resnet_edu.training.strokes import FORMS, INK, RADIUS, SIDE, STYLES, WIDTH, drawings, prepare

#: Of each form the lines, the points, and of the points the sums of x and y, alone and times their number. The shipped
#: network was measured on drawings of these forms: another form would be another measurement.
KNOWN = {
    (0, "closed"): (1, 30, 9.6000, 14.5000, 106.1359, 224.7500),
    (0, "open"): (1, 27, 8.6032, 13.9662, 83.6189, 187.4471),
    (0, "narrow"): (1, 30, 7.4565, 14.4274, 84.3869, 233.9162),
    (1, "stroke"): (1, 2, 0.6000, 1.0000, 0.9000, 2.0000),
    (1, "flag"): (1, 3, 0.8000, 1.2500, 1.8500, 3.2500),
    (1, "foot"): (2, 5, 1.5000, 3.2500, 5.2500, 12.2500),
    (2, "round"): (1, 17, 5.8133, 3.9593, 66.3615, 52.1366),
    (2, "loop"): (1, 39, 9.5913, 23.1024, 183.5926, 610.8601),
    (3, "round"): (1, 38, 14.3411, 18.9237, 285.6914, 512.9627),
    (3, "flat"): (1, 22, 8.2294, 15.0201, 81.4790, 210.6064),
    (4, "open"): (2, 5, 1.8300, 2.4500, 6.6600, 9.0000),
    (4, "closed"): (1, 4, 1.6000, 2.3600, 4.1300, 5.7600),
    (5, "one line"): (1, 25, 8.9031, 15.9686, 108.1040, 256.6503),
    (5, "with a hat"): (2, 26, 9.0431, 16.0086, 118.3208, 241.2217),
    (6, "curved"): (1, 35, 10.2270, 23.4065, 192.2481, 412.5857),
    (6, "straight"): (1, 32, 9.7843, 22.4731, 170.1769, 348.2186),
    (7, "plain"): (1, 3, 0.8600, 1.0000, 1.9200, 3.0000),
    (7, "bar"): (2, 5, 1.6100, 2.0000, 5.5200, 7.5000),
    (8, "figure"): (1, 50, 15.0000, 25.0000, 315.4083, 816.8715),
    (8, "circles"): (2, 60, 18.0000, 29.3800, 541.0005, 1113.5900),
    (9, "straight"): (1, 31, 9.8400, 9.4000, 161.2000, 198.5311),
    (9, "curved"): (1, 40, 13.3141, 17.3496, 282.6787, 488.2362),
}


def test_every_form_of_every_digit_is_the_one_that_was_measured() -> None:
    assert {(digit, name) for digit, forms in FORMS.items() for name in forms} == KNOWN.keys()
    for (digit, name), known in KNOWN.items():
        lines = FORMS[digit][name]()
        points = np.concatenate([np.asarray(line, float) for line in lines])
        number = np.arange(1, len(points) + 1)
        sums = (*points.sum(0), *(number[:, None] * points).sum(0))
        assert (len(lines), len(points)) == known[:2]
        assert sums == pytest.approx(known[2:], abs=1e-3), (digit, name)


def test_the_twenty_four_hands_are_all_there() -> None:
    assert len(STYLES) == 24
    assert STYLES["upright, usual, steady"] == {"wide": 1.0, "shake": 0.012, "keep": 1.0}
    assert STYLES["leaning, narrow, shaky"] == {"slant": -0.35, "wide": 0.75, "shake": 0.03, "keep": 0.5}
    assert STYLES["backward, broad, steady"] == {"slant": 0.25, "wide": 1.3, "shake": 0.012, "keep": 1.0}
    assert STYLES["turned, usual, shaky"] == {"turn": 9.0, "wide": 1.0, "shake": 0.03, "keep": 0.5}


def test_the_same_seed_draws_the_same_in_every_version() -> None:
    made = drawings(20, 0)
    assert [drawing.digit for drawing in made] == [*range(10)] * 2
    assert [(drawing.form, drawing.style) for drawing in made[:3]] == [
        ("narrow", "backward, usual, shaky"),
        ("foot", "upright, narrow, shaky"),
        ("round", "turned, broad, shaky"),
    ]
    points = [np.concatenate(drawing.strokes) for drawing in made]
    assert [len(one) for one in points] == [14, 5, 9, 13, 4, 13, 16, 3, 20, 40, 30, 2, 39, 38, 4, 25, 32, 3, 50, 40]
    x = [
        469.91, 399.98, 996.1, 1718.71, 400.32, 1038.95, 2100.66, 171.34, 2045.05, 2804.44, 1863.78, 251.45, 3157.21,
        5298.43, 609.14, 3962.57, 3122.91, 155.54, 4290.18, 5098.17,
    ]  # fmt: skip
    y = [
        557.55, 703.52, 1464.5, 1455.25, 648.22, 1471.67, 2681.26, 292.43, 2145.27, 2758.84, 4009.33, 149.04, 2905.31,
        2494.49, 615.01, 2667.22, 4002.59, 446.28, 6825.67, 4897.32,
    ]  # fmt: skip
    assert [one[:, 0].sum() for one in points] == pytest.approx(x, abs=0.02)
    assert [one[:, 1].sum() for one in points] == pytest.approx(y, abs=0.02)


def test_a_drawing_fills_the_height_and_the_usual_width_around_the_middle() -> None:
    square = prepare([[(10, 10), (110, 10), (110, 210), (10, 210), (10, 10)]])
    (line,) = square.strokes
    length = 2 * (np.ptp(line[:, 0]) + np.ptp(line[:, 1]))
    assert SIDE - np.ptp(line[:, 1]) == pytest.approx(WIDTH - np.ptp(line[:, 0]))
    assert (line.min(0) + line.max(0)) / 2 == pytest.approx((16, 16))
    # Half the pen on each side of the line: so much ink, that a digit's 313 pixels are inked.
    pen = SIDE - np.ptp(line[:, 1])
    assert pen == pytest.approx(INK / length, rel=0.02)
    assert INK <= square.bitmap.sum() < 1.25 * INK  # pixels at one distance are inked together


def test_a_narrow_stroke_is_not_stretched_to_the_full_width() -> None:
    for wide, expected in ((2.0, None), (7.0, None), (50.0, WIDTH)):
        lines = [[(0, 0), (0, 100)], [(wide, 0), (wide, 100)]]
        x = np.concatenate(prepare(lines).strokes)[:, 0]
        pen = SIDE - np.ptp(np.concatenate(prepare(lines).strokes)[:, 1])
        full = WIDTH - pen
        assert np.ptp(x) == pytest.approx(full if expected else full * wide / 35)  # 0.35 of its height


def test_a_flat_stroke_and_a_dot_become_something_that_is_not_a_division_by_zero() -> None:
    flat = prepare([[(0, 5), (100, 5)]])
    assert np.isfinite(flat.strokes[0]).all()
    assert np.ptp(flat.strokes[0][:, 0]) == pytest.approx(WIDTH - 2 * RADIUS[1], abs=1e-3)
    dot = prepare([[(7, 7)]])
    assert np.isfinite(dot.strokes[0]).all()
    assert dot.bitmap.any()
    rest = prepare([[(7, 7), (7, 7), (7, 7)]])  # a pen that rests
    assert np.isfinite(rest.strokes[0]).all()
    assert rest.bitmap.any()
    assert len(prepare([[(0, 0), (0, 9)], []]).strokes) == 1  # what holds no point is no line


def test_a_line_is_as_thick_as_the_ink_needs_and_never_thicker_or_thinner_than_a_pen() -> None:
    short = prepare([[(0, 0), (0, 1e-9)], [(0, 50), (0, 50)]])
    assert np.sort(strokes._distances(short.strokes)[short.bitmap])[-1] <= RADIUS[1]
    scribble = [(math.sin(7 * step), math.cos(11 * step)) for step in range(200)]
    dense = prepare([scribble])
    assert strokes._distances(dense.strokes)[dense.bitmap].max() == pytest.approx(RADIUS[0], abs=0.1)
    assert dense.bitmap.sum() > INK


@pytest.mark.parametrize("slant", [-0.5, -0.2, 0.3, 0.6])
def test_a_slant_is_taken_back_up_to_its_most(slant: float) -> None:
    upright = [[(0.0, 0.0), (20.0, 0.0), (20.0, 40.0), (0.0, 40.0), (0.0, 0.0)]]
    leaning = [[(x + slant * y, y) for x, y in upright[0]]]
    (back,) = strokes._upright([np.array(line) for line in leaning])
    x, y = back.T
    assert np.ptp(y) == 40
    assert x[1] - x[0] == pytest.approx(20)
    assert x[2] - x[1] == pytest.approx(0, abs=1e-9)
    (most,) = strokes._upright([np.array([(x + 2 * y, y) for x, y in upright[0]])])
    assert most[2, 0] - most[1, 0] == pytest.approx((2 - strokes.SLANT) * 40)
    (least,) = strokes._upright([np.array([(x - 2 * y, y) for x, y in upright[0]])])
    assert least[2, 0] - least[1, 0] == pytest.approx((strokes.SLANT - 2) * 40)
    (tiny,) = strokes._upright([np.array(line) / 1000 for line in leaning])
    np.testing.assert_allclose(tiny * 1000, back, atol=1e-6)
    (flat,) = strokes._upright([np.array([(0.0, 5.0), (9.0, 5.0)])])  # no down, so no slant
    assert flat.tolist() == [[0, 5], [9, 5]]


def test_how_far_a_pixel_is_from_a_line() -> None:
    far = strokes._distances([np.array([(4.5, 8.5), (10.5, 8.5)]), np.array([(30.5, 30.5), (30.5, 30.5)])])
    assert far[8, 4:11].tolist() == [0] * 7  # row 8, whose middle lies at 8.5
    assert far[5, 7] == 3
    assert far[8, 1] == 3
    assert far[12, 13] == 5  # 3 beside its end, 4 below
    assert far[30, 28] == 2
    assert far[31, 31] == pytest.approx(math.sqrt(2), abs=1e-6)


#: Of twenty drawings the sum of all places, x + 3·y, and of what is read of them times the number of its cell.
PLACES = [
    749.429, 366.141, 465.585, 993.649, 296.74, 952.788, 1206.287, 160.625, 1050.289, 2351.915,
    1894.153, 128.0, 2719.124, 2464.367, 292.774, 1931.72, 2548.614, 157.772, 3189.494, 2332.845,
]  # fmt: skip
READ = [
    9279, 11592, 10411, 9828, 10298, 10238, 11873, 7848, 9286, 9452,
    9915, 9450, 10093, 10062, 10256, 9643, 11551, 7756, 10118, 9202,
]  # fmt: skip


def test_what_the_network_reads_of_a_drawing_is_the_same_in_every_version() -> None:
    """The shipped network was measured on these numbers, and the page makes the same ones of the same drawing."""
    made = [prepare(drawing.strokes) for drawing in drawings(20, 0)]
    places = [float((np.concatenate(one.strokes) * (1, 3)).sum()) for one in made]
    assert places == pytest.approx(PLACES, abs=2e-3)
    read = [int((one.counts * np.arange(64).reshape(8, 8)).sum()) for one in made]
    assert read == pytest.approx(READ, abs=64)  # a pixel on the border may fall to the other side of it
