// The browser half of matrix_view: a table with one cell that can be entered, and arrow keys within.
const states = new WeakMap();

export default function ({ data, parentElement: root, setTriggerValue }) {
  const state = states.get(root) ?? { drawn: null, at: [0, 0] };
  states.set(root, state);
  const table = root.querySelector("table");
  const reading = root.querySelector(".reading");
  const drawn = JSON.stringify(data);
  if (state.drawn === drawn) return;
  state.drawn = drawn;
  state.at = [0, 0];
  reading.replaceChildren();

  const make = (tag, content = "", more = {}) => Object.assign(document.createElement(tag), { textContent: content, ...more });
  const [head, body] = ["thead", "tbody"].map((name) => table.querySelector(name));
  table.setAttribute("aria-label", data.alt);
  table.style.setProperty("--cell", `${data.cell}rem`);
  table.classList.toggle("open", data.open);
  table.dir = data.from_right ? "rtl" : "ltr";
  const names = make("tr");
  names.append(
    make("td"),
    ...data.columns.map((name) => {
      const column = make("th", "", { scope: "col", title: name });
      column.append(make("span", name, { dir: "auto" }));
      return column;
    }),
  );
  head.replaceChildren(names);
  body.replaceChildren(
    ...data.rows.map((name, row) => {
      const line = make("tr");
      line.append(make("th", name, { scope: "row" }));
      data.columns.forEach((_, column) => {
        const cell = make("td", "", { tabIndex: -1, className: "cell" });
        cell.style.background = data.shades[row][column];
        cell.classList.toggle("chosen", data.chosen?.[0] === row && data.chosen?.[1] === column);
        cell.setAttribute("aria-label", data.said[row][column]);
        line.append(cell);
      });
      return line;
    }),
  );

  const cell = ([row, column]) => body.rows[row].cells[column + 1];
  const found = (event) => {
    const one = event.target.closest?.(".cell");
    return one ? [one.parentElement.sectionRowIndex, one.cellIndex - 1] : null;
  };
  function read(at, live) {
    reading.ariaLive = live;
    const [row, column] = at ?? [];
    reading.replaceChildren(
      ...(at ? [`${data.rows[row]}, `, make("bdi", data.columns[column]), `: ${data.said[row][column]}`] : []),
    );
  }
  function go(at) {
    cell(state.at).tabIndex = -1;
    state.at = at;
    cell(at).tabIndex = 0;
    cell(at).focus();
    read(at, "polite");
  }
  cell(state.at).tabIndex = 0;

  table.onpointermove = table.onpointerdown = (event) => read(found(event), "off");
  table.onpointerleave = (event) => event.pointerType === "mouse" && read(null, "off");
  const pick = ([row, column]) => data.open && setTriggerValue("picked", { row, column, version: data.version });
  table.onclick = (event) => {
    if (!found(event)) return;
    go(found(event));
    pick(found(event));
  };
  table.onfocusin = (event) => found(event) && read(found(event), "polite");
  table.onkeydown = (event) => {
    const [row, column] = state.at;
    const [before, after] = [Math.max(column - 1, 0), Math.min(column + 1, data.columns.length - 1)];
    const [last, end] = [data.rows.length - 1, data.columns.length - 1];
    const to = {
      ArrowUp: [Math.max(row - 1, 0), column],
      ArrowDown: [Math.min(row + 1, last), column],
      ArrowLeft: [row, data.from_right ? after : before],
      ArrowRight: [row, data.from_right ? before : after],
      Home: [row, 0],
      End: [row, end],
    }[event.key];
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      pick(state.at);
    }
    if (!to) return;
    event.preventDefault();
    go(to);
  };
}
