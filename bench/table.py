"""Tables of Markdown and charts of SVG out of what was measured."""
import html


def number(value):
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}"


def table(head, rows):
    align = ["---"] + ["---:" if i else "---" for i in range(len(head) - 1)]
    lines = ["| " + " | ".join(head) + " |", "| " + " | ".join(align) + " |"]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]


WIDTH, HEAD, LABEL, BAR, GAP = 760, 52, 150, 22, 8
COLOURS = {"floor": "#9aa0a6", "Starling": "#1a73e8"}


def chart(title, unit, bars):
    """Horizontal bars below title and unit; bars: name to value, a name without value is left out."""
    bars = [(name, value) for name, value in bars if value is not None]
    most = max((value for _, value in bars), default=0) or 1
    height = HEAD + 6 + len(bars) * (BAR + GAP)
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" font-family="sans-serif" '
             f'font-size="13" role="img" aria-label="{html.escape(title)}">',
             f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
             f'<text x="8" y="20" font-weight="bold" fill="#202124">{html.escape(title)}</text>',
             f'<text x="8" y="38" fill="#202124">{html.escape(unit)}</text>']
    for i, (name, value) in enumerate(bars):
        y, length = HEAD + i * (BAR + GAP), max(1, (WIDTH - LABEL - 110) * value / most)
        colour = COLOURS.get(name, "#c5cad3")
        lines += [f'<text x="{LABEL - 8}" y="{y + 15}" text-anchor="end" fill="#202124">{html.escape(name)}</text>',
                  f'<rect x="{LABEL}" y="{y}" width="{length:.0f}" height="{BAR}" fill="{colour}"/>',
                  f'<text x="{LABEL + length + 6:.0f}" y="{y + 15}" fill="#202124">{number(value)}</text>']
    return "\n".join(lines + ["</svg>", ""])
