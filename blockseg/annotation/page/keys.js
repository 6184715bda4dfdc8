// The keys: one table for what they do and for the help that lists them.
export const KEYS = [
  ["Tools", [
    ["1, B", "paint neurite"], ["2, E", "erase: background"], ["3, I", "ignore: does not count"],
    ["4, T", "threshold brush: paint what is above the threshold"], ["5, F", "flood what is above the threshold; with Shift, erase a whole piece"],
    ["6, K", "choose a node of a trace"], ["[ ]", "brush smaller, larger"], ["V", "ball or disk"], ["− =", "threshold lower, higher"],
  ]],
  ["Places", [
    ["wheel, ↑ ↓, ,  .", "planes, ten with Shift"], ["Ctrl wheel", "zoom"], ["middle or Alt drag", "move"], ["right click", "put the cursor here"],
    ["click in the maximum", "go to the brightest plane there"], ["M", "maximum of all planes, or of 21"], ["0", "whole pick"],
  ]],
  ["Picks", [["D", "done, and the next"], ["S", "skip, and the next"], ["N, P", "next, previous"], ["Ctrl Z, Ctrl Shift Z", "undo, redo"]]],
  ["Look", [["L", "labels"], ["G", "what is above the threshold"], ["C", "contrast as at first"], ["?", "these keys"]]],
  ["Traces", [["X", "split above the node"], ["J", "join the last two nodes"], ["Del", "delete the trace"], ["A", "accept it, or not"], ["U", "undo an edit"]]],
];

export function fillHelp(root) {
  for (const [title, keys] of KEYS) {
    const heading = document.createElement("h3");
    heading.textContent = title;
    root.append(heading);
    for (const [key, what] of keys) {
      const name = document.createElement("kbd"), text = document.createElement("span");
      name.textContent = key;
      text.textContent = what;
      root.append(name, text);
    }
  }
}
