"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("js");
  const all = (selector, inside = document) => [...inside.querySelectorAll(selector)];

  // Light or dark; the reader's choice is kept where the browser allows it.
  const theme = {
    get: () => { try { return localStorage.getItem("mri2qmap-theme"); } catch { return null; } },
    set: (value) => { try { localStorage.setItem("mri2qmap-theme", value); } catch { /* as it was */ } },
  };
  if (theme.get()) root.dataset.theme = theme.get();
  const isDark = () => root.dataset.theme
    ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  for (const button of all(".theme")) {
    const say = () => { button.textContent = isDark() ? "Light" : "Dark"; };
    button.hidden = false;
    button.addEventListener("click", () => {
      root.dataset.theme = isDark() ? "light" : "dark";
      theme.set(root.dataset.theme);
      say();
    });
    say();
  }

  // Maps: one at a time, with the arrow keys as in any list of tabs.
  for (const list of all("[role=tablist]")) {
    const tabs = all("[role=tab]", list);
    const choose = (chosen, focus) => {
      for (const tab of tabs) {
        const is = tab === chosen;
        tab.setAttribute("aria-selected", String(is));
        tab.tabIndex = is ? 0 : -1;
        document.getElementById(tab.getAttribute("aria-controls")).hidden = !is;
      }
      if (focus) chosen.focus();
    };
    tabs.forEach((tab, index) => {
      tab.addEventListener("click", () => choose(tab, false));
      tab.addEventListener("keydown", (event) => {
        const to = { ArrowRight: index + 1, ArrowLeft: index - 1, Home: 0, End: tabs.length - 1 }[event.key];
        if (to === undefined) return;
        event.preventDefault();
        choose(tabs[(to + tabs.length) % tabs.length], true);
      });
    });
    choose(tabs[0], false);
  }

  // Tables: a click on a column's name sorts by it, a second one the other way.
  for (const table of all("table.sortable")) {
    const body = table.tBodies[0];
    all("thead th", table).forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sort";
      button.textContent = head.textContent;
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        for (const other of all("thead th", table)) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const key = (row) => row.cells[column].textContent.trim();
        const order = ["bad", "look", "good"];
        const compare = (a, b) => order.includes(a) && order.includes(b)
          ? order.indexOf(a) - order.indexOf(b) : a.localeCompare(b, undefined, { numeric: true });
        const rows = [...body.rows].sort((a, b) => compare(key(a), key(b)));
        body.append(...(down ? rows.reverse() : rows));
      });
    });
  }

  // Start against end: a slider, or both in turn.
  for (const box of all(".comparison")) {
    const range = box.querySelector("input[type=range]");
    const button = box.querySelector("button.flicker");
    const said = box.querySelector(".said");
    const stacks = all(".compare", box);
    let timer = 0;
    const show = (value, whole) => {
      for (const stack of stacks) {
        stack.style.setProperty("--at", `${value}%`);
        stack.classList.toggle("whole", whole);
      }
    };
    const stop = () => {
      clearInterval(timer);
      timer = 0;
      button.setAttribute("aria-pressed", "false");
      said.textContent = "";
      show(range.value, false);
    };
    range.addEventListener("input", stop);
    button.addEventListener("click", () => {
      if (timer) { stop(); return; }
      let end = false;
      const turn = () => {
        end = !end;
        show(end ? 0 : 100, true);
        said.textContent = end ? "end" : "start";
      };
      button.setAttribute("aria-pressed", "true");
      turn();
      timer = setInterval(turn, 700);
    });
    show(range.value, false);
  }

  // Fingerprints: the voxel nearest to where the map is clicked, or to where the arrows lead.
  const make = (name, attributes, text) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    if (text !== undefined) node.textContent = text;
    return node;
  };
  for (const box of all(".probe")) {
    const probe = JSON.parse(box.querySelector("script[type='application/json']").textContent);
    const map = box.querySelector(".map");
    const cross = box.querySelector(".cross");
    const plot = box.querySelector(".plot");
    const said = box.querySelector(".said");
    const isComplex = "basisImag" in probe;
    let current = 0;
    const course = (name, voxel) => probe.basis.map((row, frame) => {
      let real = 0;
      let imaginary = 0;
      row.forEach((b, k) => {
        real += b * probe[name][voxel][k];
        if (isComplex) {
          real -= probe.basisImag[frame][k] * probe[`${name}Imag`][voxel][k];
          imaginary += b * probe[`${name}Imag`][voxel][k] + probe.basisImag[frame][k] * probe[name][voxel][k];
        }
      });
      return isComplex ? Math.hypot(real, imaginary) : real;
    });
    const draw = (voxel) => {
      current = voxel;
      const [x, y] = probe.at[voxel];
      cross.style.left = `${100 * x}%`;
      cross.style.top = `${100 * y}%`;
      const [width, height, left, bottom] = [640, 270, 44, 34];
      const data = course("data", voxel);
      const model = course("model", voxel);
      const low = Math.min(0, ...data, ...model);
      const high = Math.max(0.1, ...data, ...model);
      const across = (i) => left + (width - left - 10) * (i * probe.step) / Math.max(1, probe.frames - 1);
      const up = (v) => 10 + (height - bottom - 20) * (high - v) / (high - low);
      const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, role: "img",
        "aria-label": `Fingerprint of voxel ${probe.voxel[voxel].join(", ")}` });
      const spacing = high - low > 1.2 ? 0.5 : 0.25;
      for (let v = Math.ceil(low / spacing) * spacing; v <= high + 1e-9; v += spacing) {
        svg.append(make("line", { class: "grid", x1: left, x2: width - 10, y1: up(v), y2: up(v) }));
        svg.append(make("text", { x: left - 6, y: up(v) + 4, "text-anchor": "end" }, v.toFixed(2)));
      }
      svg.append(make("line", { class: "axis", x1: left, x2: width - 10, y1: up(0), y2: up(0) }));
      const round = 10 ** Math.floor(Math.log10(probe.frames / 3));
      const every = round * Math.max(1, Math.round(probe.frames / 5 / round));
      for (let t = 0; t < probe.frames; t += every) {
        svg.append(make("text", { x: across(t / probe.step), y: height - bottom + 14, "text-anchor": "middle" }, t));
      }
      svg.append(make("text", { x: (left + width) / 2, y: height - 3, "text-anchor": "middle" }, "frame"));
      for (const [values, colour, dash] of [[data, "1", ""], [model, "2", "6 4"]]) {
        const points = values.map((v, i) => `${across(i).toFixed(1)},${up(v).toFixed(1)}`).join(" ");
        svg.append(make("polyline", { points, fill: "none", "stroke-width": 1.6,
          style: `stroke: var(--series-${colour})`, "stroke-dasharray": dash }));
      }
      plot.replaceChildren(svg);
      const distance = Math.sqrt(data.reduce((sum, v, i) => sum + (v - model[i]) ** 2, 0)
        / data.reduce((sum, v) => sum + v ** 2, 1e-30));
      said.textContent = `Voxel ${probe.voxel[voxel].join(", ")}: T1 ${probe.t1[voxel]} ms, `
        + `T2 ${probe.t2[voxel]} ms, misfit ${(100 * distance).toFixed(1)} %`;
    };
    const nearest = (x, y, allowed = () => true) => {
      const ratio = map.clientHeight / Math.max(1, map.clientWidth);
      let best = current;
      let least = Infinity;
      probe.at.forEach(([u, v], index) => {
        const distance = Math.hypot(u - x, (v - y) * ratio);
        if (allowed(u, v) && distance < least) { least = distance; best = index; }
      });
      return best;
    };
    map.addEventListener("click", (event) => {
      const frame = map.getBoundingClientRect();
      draw(nearest((event.clientX - frame.left) / frame.width, (event.clientY - frame.top) / frame.height));
    });
    map.addEventListener("keydown", (event) => {
      const way = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
      if (!way) return;
      event.preventDefault();
      const [x, y] = probe.at[current];
      draw(nearest(x, y, (u, v) => {
        const [along, aside] = way[0] ? [(u - x) * way[0], v - y] : [(v - y) * way[1], u - x];
        return along > 1e-6 && Math.abs(aside) <= along + 1e-6;
      }));
    });
    for (const button of all(".presets button", box)) {
      button.addEventListener("click", () => draw(Number(button.dataset.voxel)));
    }
    draw(Number(all(".presets button", box)[0].dataset.voxel));
  }
})();
