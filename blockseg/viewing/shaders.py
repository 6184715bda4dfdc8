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
#uicontrol float strength slider(min=0, max=1, default=0.55)
void main() {{
  float value = toRaw(getDataValue());
  float shown = isnan(value) ? 0.0 : strength;
  emitRGBA(vec4(colormapJet(scale()), shown));
}}
"""
"""A metric in colours; nothing where it is not known."""

BOXES = """#uicontrol vec3 colour color(default="#ffd54f")
void main() { setColor(colour); setBoundingBoxFillColor(vec4(colour, 0.08)); }
"""
"""Boxes of annotations."""
