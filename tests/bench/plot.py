"""Curves over a logarithmic grid, as SVG."""
import math

WIDTH, HEIGHT, MARGIN, KEY = 720, 480, 60, 130
COLOURS = ("#1b6ca8", "#c4422d", "#3a8a3f", "#7a4fa3", "#b8860b")


def decades(values):
    """The powers of ten around all of them."""
    return math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))


def label(exponent):
    return f"{10 ** exponent:,}" if exponent >= 0 else f"{10 ** exponent:.{-exponent}f}"


def plot(axis, curves):
    """curves: name → [(x, y), …], all greater than 0."""
    left, right = decades([x for points in curves.values() for x, _ in points])
    bottom, top = decades([y for points in curves.values() for _, y in points])

    def across(x):
        return MARGIN + (math.log10(x) - left) / (right - left) * (WIDTH - MARGIN - KEY)

    def up(y):
        return HEIGHT - MARGIN - (math.log10(y) - bottom) / (top - bottom) * (HEIGHT - 2 * MARGIN)

    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
             f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>']
    for exponent in range(left, right + 1):
        x = across(10 ** exponent)
        lines.append(f'<path d="M{x:.1f} {up(10 ** bottom):.1f}V{up(10 ** top):.1f}" stroke="#ddd"/>')
        lines.append(f'<text x="{x:.1f}" y="{HEIGHT - MARGIN + 18}" text-anchor="middle">{label(exponent)}</text>')
    for exponent in range(bottom, top + 1):
        y = up(10 ** exponent)
        lines.append(f'<path d="M{MARGIN} {y:.1f}H{WIDTH - KEY}" stroke="#ddd"/>')
        lines.append(f'<text x="{MARGIN - 6}" y="{y + 4:.1f}" text-anchor="end">{label(exponent)}</text>')
    lines.append(f'<text x="{(MARGIN + WIDTH - KEY) / 2}" y="{HEIGHT - MARGIN + 40}" text-anchor="middle">{axis}</text>')
    for (name, points), colour in zip(curves.items(), COLOURS):
        places = [(across(x), up(y)) for x, y in points]
        lines.append(f'<polyline points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in places)}" fill="none" stroke="{colour}" stroke-width="2"/>')
        lines += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places]
        lines.append(f'<text x="{places[-1][0] + 8:.1f}" y="{places[-1][1] + 4:.1f}" fill="{colour}">{name}</text>')
    return "\n".join([*lines, "</svg>"]) + "\n"
