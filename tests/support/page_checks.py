"""What every page has to be: readable, no wider than a phone, usable by keyboard."""

# Texts whose contrast with what lies below them is less than 4.5 (WCAG 2.2, 1.4.3), with it. The
# window has to be as high as the page: only what is in it can be asked for.
_CONTRAST = """
(() => {
  const parts = (text) => (text.match(/[\\d.e-]+/g) || []).map(Number);
  const over = ([r, g, b, a = 1], [R, G, B]) =>
    [r * a + R * (1 - a), g * a + G * (1 - a), b * a + B * (1 - a)];
  const light = (colour) => {
    const [r, g, b] = colour.map((v) => v / 255)
      .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const fill = (element) => {
    const style = getComputedStyle(element);
    const svg = element instanceof SVGGeometryElement;
    const [r, g, b, a = 1] = parts(svg ? style.fill : style.backgroundColor);
    if (r === undefined) return [0, 0, 0, 0];
    return [r, g, b, a * (svg ? Number(style.fillOpacity) : 1) * Number(style.opacity)];
  };
  const below = (x, y, text) => {
    const stack = document.elementsFromPoint(x, y);
    const root = getComputedStyle(document.body).backgroundColor;
    let colour = parts(root);
    for (const element of stack.reverse()) {
      if (element !== text) colour = over(fill(element), colour);
      else if (!(element instanceof SVGElement)) colour = over(fill(element), colour);
    }
    return colour;
  };
  const found = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let count = 0;
  while (walker.nextNode()) {
    const node = walker.currentNode, element = node.parentElement;
    if (!node.textContent.trim() || element.closest("script, style, noscript, option")) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const box = [...range.getClientRects()].find((b) => b.width > 1 && b.height > 1);
    if (!box || box.x < 0 || box.x + box.width / 2 > innerWidth) continue;
    const style = getComputedStyle(element);
    if (style.visibility !== "visible") continue;
    const background = below(box.x + box.width / 2, box.y + box.height / 2, element);
    const ink = parts(element instanceof SVGElement ? style.fill : style.color);
    let opacity = ink[3] ?? 1;
    for (let e = element; e; e = e.parentElement) opacity *= Number(getComputedStyle(e).opacity);
    const [a, b] = [light(over([...ink.slice(0, 3), opacity], background)), light(background)];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    count += 1;
    if (!(ratio >= 4.5)) found.push(`${node.textContent.trim().slice(0, 30)}: ${ratio.toFixed(2)}`);
  }
  return [count, found];
})()
"""

# Elements that reach past the right edge though nothing around them scrolls.
_TOO_WIDE = """
(() => {
  const wide = document.documentElement.clientWidth;
  const scrolls = (e) => e && e !== document.body &&
    (getComputedStyle(e).overflowX !== "visible" || scrolls(e.parentElement));
  return [...document.body.querySelectorAll("*")]
    .filter((e) => e.getBoundingClientRect().right > wide + 1 && !scrolls(e.parentElement))
    .filter((e) => !e.closest("svg, math") || e.matches("svg, math"))
    .map((e) => `${e.tagName} ${e.className} ${e.textContent.trim().slice(0, 30)}`).slice(0, 5);
})()
"""

# Texts in pictures that are too small to read, with their size in pixels.
_TINY = """
[...document.querySelectorAll("main svg text")].filter((e) => e.textContent.trim())
  .map((e) => [e.textContent.slice(0, 20), parseFloat(getComputedStyle(e).fontSize) *
    Math.hypot(e.getScreenCTM().a, e.getScreenCTM().b)]).filter(([, size]) => size < 10)
"""

# Things to click without a name, pictures without a text.
_NAMELESS = """
(() => {
  const named = (e) => e.textContent.trim() || e.getAttribute("aria-label") || e.labels?.length ||
    e.getAttribute("aria-labelledby") || e.title;
  const controls = [...document.querySelectorAll("button, select, input, textarea, a[href]")];
  const pictures = [...document.querySelectorAll("[role=img], main svg, img, canvas")]
    .filter((e) => !e.closest(".plot-area, [aria-hidden=true]") || e.matches(".plot-area"));
  return [...controls.filter((e) => !named(e)),
    ...pictures.filter((e) => !(e.getAttribute("aria-label") || e.getAttribute("alt")))]
    .map((e) => e.outerHTML.slice(0, 120));
})()
"""


def check_page(page, width):
    """Contrast, width, sizes, names, a silent console. Leaves the window as high as the page."""
    edge = page.run("Math.max(document.documentElement.scrollWidth, window.innerWidth)")
    assert edge <= width, (edge, page.run(_TOO_WIDE))
    assert page.run(_TOO_WIDE) == []
    assert page.run(_NAMELESS) == []
    assert page.run(_TINY) == []
    page.resize(width, page.run("document.documentElement.scrollHeight"))
    count, faint = page.run(_CONTRAST)
    assert count > 5 and faint == []
    assert page.complaints() == []


def tab_stops(page, most=400):
    """What Tab reaches, in order, as texts; each must show that it has the focus."""
    stops, seen = [], page.run("document.activeElement?.blur(), window.scrollTo(0, 0), 0")
    for _ in range(most):
        page.press("Tab")
        seen = page.run(
            "(() => { const e = document.activeElement; if (e === document.body) return null;"
            "const s = getComputedStyle(e), b = e.getBoundingClientRect();"
            "e.dataset.stop ??= Math.random();"
            "return [e.dataset.stop, (e.getAttribute('aria-label') || e.textContent).trim(),"
            "s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 1 && b.width > 0] })()"
        )
        if seen is None or any(seen[0] == stop[0] for stop in stops):
            break
        assert seen[2], f"the focus on {seen[1]!r} doesn't show"
        stops.append(seen)
    return [text for _, text, _ in stops]
