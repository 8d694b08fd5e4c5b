"""Scripts that a page of the viewer runs for whoever watches it: tests, benchmarks and the makers of pictures.

Nothing is imported here, so that scripts outside of the tests can take them too.
"""

from __future__ import annotations

SORTED = """() => {
  let node = Object.values(window.__viserMutable?.nodeRefFromName ?? {}).find((ref) => ref != null);
  if (node == null) return false;
  // They are hidden until the page has had the time to sort them.
  if (window.__viserSceneTree?.getState()["/background/splats"]?.effectiveVisibility === false) return false;
  while (node.parent != null) node = node.parent;
  let ready = false;
  node.traverse((part) => {
    const order = part.geometry?.attributes?.sortedIndex?.array;
    if (order == null) return;
    ready = part.material.uniforms.transitionInState.value >= 1 && order.some((value, place) => value !== place);
  });
  return ready;
}"""
"""Whether all splats are sorted and at full size."""
PICTURE = "() => window.__viserMutable.canvas.toDataURL('image/png')"
"""The drawing as a data address, without the panels."""
