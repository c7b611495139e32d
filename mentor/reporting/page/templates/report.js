"use strict";

// Texts of models, tools and data enter the page as text nodes only, whatever they hold.

function byId(id) {
  return document.getElementById(id);
}

function readJson(id) {
  const holder = byId(id);
  return holder === null ? null : JSON.parse(holder.textContent);
}

/** An element with a class (may be empty) and children: nodes, or strings that become text. */
function element(tag, className, ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

// --- Where a number comes from -------------------------------------------------------------------------------------

/** The row, the column and the text of a number in a table. */
function describeNumber(button) {
  const cell = button.closest("td");
  const headings = cell.closest("table").tHead.rows[0].cells;
  const row = cell.parentElement.cells[0].textContent;
  const table = cell.closest("section").querySelector("h3").textContent;
  return `${table} – ${row}, ${headings[cell.cellIndex].textContent}: ${button.textContent}`;
}

/** One folder: as what the number comes from it, and what made it. */
function originBlock(origin, folders) {
  const list = element("dl", "");
  const known = folders[origin.folder] ?? { "": "not made in this run's folder" };
  for (const [name, value] of Object.entries(known)) {
    list.append(element("dt", "", name), element("dd", "", value));
  }
  return element("section", "", element("h3", "", `${origin.role}: ${origin.folder}`), list);
}

function startOrigins() {
  const { folders, origins } = readJson("origins-data");
  const dialog = byId("origin");
  let opener = null;

  function open(button) {
    opener = button;
    byId("origin-number").textContent = describeNumber(button);
    const seen = new Map(); // evaluations of several seeds share what their models were trained from
    for (const evaluation of button.dataset.evaluations.split("\n")) {
      for (const origin of origins[evaluation] ?? []) seen.set(`${origin.role}: ${origin.folder}`, origin);
    }
    byId("origin-folders").replaceChildren(...[...seen.values()].map((origin) => originBlock(origin, folders)));
    dialog.showModal();
    dialog.scrollTop = 0;
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-evaluations]");
    if (button !== null) open(button);
    else if (event.target === dialog) dialog.close(); // the backdrop: the content has an element of its own
  });
  byId("origin-close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => opener.focus());
}

// --- Which lines the learning curves show --------------------------------------------------------------------------

function startLines() {
  const choice = byId("lines");
  if (choice === null) return;
  const lines = [...document.querySelectorAll("#curves [data-line]")];

  function show() {
    const group = choice.selectedOptions[0].parentElement;
    const own = new Set([...group.querySelectorAll("option")].map((option) => option.value));
    const whole = choice.value.startsWith("method:");
    for (const line of lines) {
      const name = line.dataset.line;
      const shown = whole ? own.has(name) : name === choice.value;
      line.classList.toggle("shown", choice.value !== "" && shown);
      line.classList.toggle("faded", choice.value !== "" && !shown);
    }
  }

  choice.addEventListener("change", show);
  show(); // a browser may keep the choice of an earlier visit
}

startOrigins();
startLines();
