// The browser half of heatmap_view. Colours are computed in Python; here pixels are put on a canvas and values read
// out. Streamlit calls the function below at every update of `data`, with the same `root`.
const cells = new WeakMap(); // the cell being read, [row, column]; it outlasts updates so that its value stays live

function bytes(base64) {
  const text = atob(base64);
  const array = new Uint8ClampedArray(text.length);
  for (let i = 0; i < text.length; i++) array[i] = text.charCodeAt(i); // five times as fast as Uint8Array.from
  return array;
}

function paint(canvas, rgb, width, height) {
  const image = new ImageData(width, height);
  for (let from = 0, to = 0; from < rgb.length; to++) {
    image.data[to++] = rgb[from++];
    image.data[to++] = rgb[from++];
    image.data[to++] = rgb[from++];
    image.data[to] = 255;
  }
  if (canvas.width !== width) canvas.width = width; // setting a size clears the canvas, even to the same size
  if (canvas.height !== height) canvas.height = height;
  canvas.getContext("2d").putImageData(image, 0, 0);
}

export default function ({ data, parentElement: root }) {
  const { rows, columns } = data;
  const map = root.querySelector(".map");
  const canvas = map.querySelector("canvas");
  const cell = root.querySelector(".cell");
  const reading = root.querySelector(".reading");
  const legend = root.querySelector(".legend");
  const values = new Float32Array(bytes(data.values).buffer);

  paint(canvas, bytes(data.rgb), columns, rows);
  canvas.setAttribute("aria-label", data.alt);
  canvas.dataset.drawn = "";
  if (data.tag !== null) canvas.dataset.tag = data.tag;

  legend.hidden = data.legend === null;
  if (data.legend) {
    const bar = bytes(data.legend.rgb);
    paint(legend.querySelector("canvas"), bar, bar.length / 3, 1);
    legend.querySelectorAll("span").forEach((span, i) => (span.textContent = data.legend.texts[i]));
  }

  const read = (at) => {
    if (at) cells.set(root, at);
    else cells.delete(root);
    cell.hidden = !at;
    reading.value = at ? `row ${at[0] + 1}, column ${at[1] + 1}: ${values[at[0] * columns + at[1]].toPrecision(3)}` : "";
    if (!at) return;
    cell.style.top = `${((at[0] + 0.5) / rows) * 100}%`;
    cell.style.left = `${((at[1] + 0.5) / columns) * 100}%`;
    cell.style.height = `${100 / rows}%`;
    cell.style.width = `${100 / columns}%`;
  };
  const clamped = (row, column) => [
    Math.min(Math.max(Math.floor(row), 0), rows - 1),
    Math.min(Math.max(Math.floor(column), 0), columns - 1),
  ];

  map.onpointermove = map.onpointerdown = (event) => {
    const box = canvas.getBoundingClientRect();
    reading.ariaLive = "off"; // only what the keyboard asks for is read out
    read(clamped(((event.clientY - box.top) / box.height) * rows, ((event.clientX - box.left) / box.width) * columns));
  };
  map.onpointerleave = (event) => {
    if (event.pointerType === "mouse") read(null); // a finger leaves with every tap
  };
  map.onkeydown = (event) => {
    const [row, column] = cells.get(root) ?? clamped((rows - 1) / 2, (columns - 1) / 2);
    const step = event.shiftKey ? 10 : 1;
    const target = {
      ArrowUp: [row - step, column],
      ArrowDown: [row + step, column],
      ArrowLeft: [row, column - step],
      ArrowRight: [row, column + step],
      Home: [row, 0],
      End: [row, columns - 1],
      Escape: null,
    }[event.key];
    if (target === undefined) return;
    event.preventDefault();
    reading.ariaLive = "polite";
    read(target && clamped(...target));
  };
  map.onblur = () => read(null);
  const at = cells.get(root);
  read(at ? clamped(...at) : null); // the size may have changed
}
