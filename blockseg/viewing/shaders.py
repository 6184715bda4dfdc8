"""Shaders of the viewer's image layers: how numbers become light."""

from __future__ import annotations

GREY = """#uicontrol invlerp grey(range=[{low:g}, {high:g}], window=[{least:g}, {most:g}])
void main() {{ emitGrayscale(grey()); }}
"""
"""An image, black and white at given grey levels."""

PROBABILITY = """#uicontrol vec3 colour color(default="#4fc3f7")
#uicontrol float least slider(min=0, max=1, default=0.1)
#uicontrol float strength slider(min=0, max=1, default=0.75)
void main() {
  float p = float(toRaw(getDataValue())) / 255.0;
  emitRGBA(vec4(colour, p < least ? 0.0 : strength * p));
}
"""
"""A probability of 0 to 255 laid over an image."""

MASK = """#uicontrol vec3 colour color(default="{colour}")
#uicontrol float strength slider(min=0, max=1, default=0.6)
void main() {{
  emitRGBA(vec4(colour, float(toRaw(getDataValue())) > 0.0 ? strength : 0.0));
}}
"""
"""A mask laid over an image."""

METRIC = """#uicontrol invlerp scale(range=[{low:g}, {high:g}])
#uicontrol float strength slider(min=0, max=1, default=0.45)
// Viridis, by a polynomial of its colours.
vec3 viridis(float t) {{
  return vec3(0.2777, 0.0054, 0.3341) + t * (vec3(0.1051, 1.4046, 1.3846)
    + t * (vec3(-0.3309, 0.2148, 0.0951) + t * (vec3(-4.6342, -5.7991, -19.3324)
    + t * (vec3(6.2283, 14.1799, 56.6906) + t * (vec3(4.7764, -13.7451, -65.3530)
    + t * vec3(-5.4355, 4.6459, 26.3124))))));
}}
void main() {{
  float value = toRaw(getDataValue());
  float shown = isnan(value) ? 0.0 : strength;
  emitRGBA(vec4(clamp(viridis(clamp(scale(), 0.0, 1.0)), 0.0, 1.0), shown));
}}
"""
"""A metric in colours from dark blue to yellow; nothing where it is not known."""

SOMATA = """#uicontrol vec3 colour color(default="#ff4081")
void main() { setColor(vec4(colour, 0.5)); }
"""
"""Ellipsoids of cell bodies."""

BOXES = """#uicontrol vec3 colour color(default="#ffd54f")
void main() { setColor(colour); setBoundingBoxFillColor(vec4(colour, 0.08)); }
"""
"""Boxes of annotations."""
