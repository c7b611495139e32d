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
    const blocks = (origins[button.dataset.evaluation] ?? []).map((origin) => originBlock(origin, folders));
    byId("origin-folders").replaceChildren(...blocks);
    dialog.showModal();
    dialog.scrollTop = 0;
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-evaluation]");
    if (button !== null) open(button);
    else if (event.target === dialog) dialog.close(); // the backdrop: the content has an element of its own
  });
  byId("origin-close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => opener.focus());
}

startOrigins();
