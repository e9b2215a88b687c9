// The browser half of erase_board. A stroke takes patches away, or brings them back where it began on one that is gone;
// the picture without them is Python's, and comes when the stroke has ended.
const records = new WeakMap();

function paint(canvas, text, width, height) {
  const image = new ImageData(width, height);
  const rgb = atob(text);
  for (let from = 0, to = 0; from < rgb.length; to++) {
    image.data[to++] = rgb.charCodeAt(from++);
    image.data[to++] = rgb.charCodeAt(from++);
    image.data[to++] = rgb.charCodeAt(from++);
    image.data[to] = 255;
  }
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  canvas.getContext("2d").putImageData(image, 0, 0);
}

export default function ({ data, parentElement: root, setStateValue }) {
  const canvas = root.querySelector("canvas");
  const cells = root.querySelector(".cells");
  const frame = root.querySelector(".cell");
  const spoken = root.querySelector("output");
  const s = records.get(root) ?? { number: null, stroke: null, at: null };
  records.set(root, s);
  const { rows, columns, side, width, height } = data;

  paint(canvas, data.rgb, width, height);
  canvas.setAttribute("aria-label", data.alt);
  cells.setAttribute("aria-label", "Eraser: drag over the picture, or move with the arrow keys and press space");
  cells.dataset.gone = data.gone.length;

  const place = (element, cell) => {
    const [row, column] = [Math.floor(cell / columns), cell % columns];
    element.style.top = `${(100 * row * side) / height}%`;
    element.style.left = `${(100 * column * side) / width}%`;
    element.style.height = `${(100 * Math.min(side, height - row * side)) / height}%`;
    element.style.width = `${(100 * Math.min(side, width - column * side)) / width}%`;
  };
  const pointed = (event) => {
    const box = canvas.getBoundingClientRect();
    const row = Math.floor((((event.clientY - box.top) / box.height) * height) / side);
    const column = Math.floor((((event.clientX - box.left) / box.width) * width) / side);
    return row < 0 || column < 0 || row >= rows || column >= columns ? null : row * columns + column;
  };
  const send = () => {
    s.number = Math.max(Date.now(), (s.number ?? 0) + 1);
    setStateValue("gone", { cells: [...s.gone].sort((a, b) => a - b), number: s.number });
  };
  // What Python says counts, unless it has yet to hear of what the visitor did last.
  if (!s.stroke && (s.number === null || s.number === data.answered)) {
    s.gone = new Set(data.gone);
    cells.replaceChildren();
  }
  const touch = (cell) => {
    if (cell === null || s.stroke.seen.has(cell)) return;
    s.stroke.seen.add(cell);
    if (s.stroke.back) s.gone.delete(cell);
    else s.gone.add(cell);
    const mark = document.createElement("i");
    mark.classList.toggle("back", s.stroke.back);
    place(mark, cell);
    cells.append(mark);
  };

  cells.onpointerdown = (event) => {
    const cell = pointed(event);
    if (event.button !== 0 || cell === null) return;
    event.preventDefault();
    cells.focus({ preventScroll: true });
    cells.setPointerCapture(event.pointerId);
    s.stroke = { back: s.gone.has(cell), seen: new Set() };
    touch(cell);
  };
  cells.onpointermove = (event) => {
    if (!s.stroke) return;
    for (const one of event.getCoalescedEvents?.() ?? [event]) touch(pointed(one));
    touch(pointed(event));
  };
  cells.onpointerup = cells.onpointercancel = () => {
    if (!s.stroke) return;
    s.stroke = null;
    send();
  };
  const show = () => {
    frame.hidden = s.at === null;
    if (s.at === null) return;
    place(frame, s.at);
    const [row, column] = [Math.floor(s.at / columns) + 1, (s.at % columns) + 1];
    spoken.value = `Patch in row ${row}, column ${column}${s.gone.has(s.at) ? ", erased" : ""}`;
  };
  cells.onkeydown = (event) => {
    const at = s.at ?? Math.floor(rows / 2) * columns + Math.floor(columns / 2);
    const [row, column] = [Math.floor(at / columns), at % columns];
    if (event.key === " " || event.key === "Enter") {
      s.at = at;
      s.stroke = { back: s.gone.has(at), seen: new Set() };
      touch(at);
      s.stroke = null;
      send();
    } else if (event.key === "ArrowUp") s.at = Math.max(row - 1, 0) * columns + column;
    else if (event.key === "ArrowDown") s.at = Math.min(row + 1, rows - 1) * columns + column;
    else if (event.key === "ArrowLeft") s.at = row * columns + Math.max(column - 1, 0);
    else if (event.key === "ArrowRight") s.at = row * columns + Math.min(column + 1, columns - 1);
    else return;
    event.preventDefault();
    show();
  };
  cells.onblur = () => {
    s.at = null;
    show();
  };
  show();
}
