// The browser half of bars: one list item per class, made once and updated in place so that the bars move.
export default function ({ data, parentElement: root }) {
  const list = root.querySelector("ol");
  list.className = data.upright ? "columns" : "rows";
  list.setAttribute("aria-label", data.alt);
  while (list.children.length > data.names.length) list.lastChild.remove();
  while (list.children.length < data.names.length) {
    const item = document.createElement("li");
    const parts = { value: "span", track: "div", name: "span" };
    for (const [part, tag] of Object.entries(parts)) item.append(Object.assign(document.createElement(tag), { className: part }));
    item.querySelector(".track").append(document.createElement("i"));
    list.append(item);
  }
  data.names.forEach((name, index) => {
    const item = list.children[index];
    const share = data.shares[index];
    item.classList.toggle("chosen", index === data.chosen);
    item.querySelector(".name").textContent = name;
    item.querySelector(".name").title = name;
    const value = item.querySelector(".value");
    value.textContent = data.texts[index];
    value.classList.toggle("shown", share >= 0.01); // beside nine empty columns a row of zeros only distracts
    item.querySelector(".track").style.setProperty("--share", share);
  });
}
