// --- The list of trajectories: filters, pages, selection -----------------------------------------------------------

const FILTERS = ["source", "group", "mode", "verdict", "stop"];
const PAGE_SIZE = 20; // list items in the page at a time, however many match

/** What the text filter looks in: the question, and all that the student said, called and was replied. */
function searchText(entry) {
  const turns = entry.turns.flatMap((turn) => [
    turn.reasoning,
    turn.text,
    ...turn.calls.flatMap((call) => [call.name, call.arguments, call.reply]),
  ]);
  return [entry.question, ...turns].join("\n").toLowerCase();
}

function fillFilters(entries) {
  for (const name of FILTERS) {
    const values = new Set(entries.map((entry) => entry[name]));
    byId(`filter-${name}`).append(...[...values].map((value) => new Option(value, value)));
  }
}

function listItem(entry, place, selected) {
  const about = element("small", "", `${entry.source}, ${entry.group}, ${entry.mode} · `);
  about.append(element("span", entry.verdict, entry.verdict));
  const item = element("li", "", textBlock("span", "", entry.question), about);
  item.id = `match-${place}`;
  item.dataset.place = place;
  item.setAttribute("role", "option");
  item.setAttribute("aria-selected", String(selected));
  return item;
}

/** Not `disabled`, which would drop the keyboard focus from a button that has just been pressed. */
function setUsable(id, usable) {
  byId(id).setAttribute("aria-disabled", String(!usable));
}

function startTrajectories() {
  const data = readJson("trajectories-data");
  if (data === null) return;
  const entries = data.entries;
  const texts = []; // of searchText, made when first asked for
  const list = byId("list");
  let matches = entries.map((_, index) => index);
  let selected = 0; // a place in `matches`
  let asTokens = false;
  let across = false; // all models on the question of the one that is selected

  function matchesFilters(entry, index, wanted, text) {
    if (wanted.some(([name, value]) => value !== "" && entry[name] !== value)) return false;
    return text === "" || (texts[index] ??= searchText(entry)).includes(text);
  }

  function filter() {
    const before = matches[selected];
    const wanted = FILTERS.map((name) => [name, byId(`filter-${name}`).value]);
    const text = byId("filter-text").value.trim().toLowerCase();
    matches = [...entries.keys()].filter((index) => matchesFilters(entries[index], index, wanted, text));
    select(Math.max(0, matches.indexOf(before)));
  }

  /** Show the match at `place`, or the nearest there is. */
  function select(place) {
    selected = Math.max(0, Math.min(place, matches.length - 1));
    showList();
    showTrajectory();
    const number = matches.length === 0 ? "" : ` Number ${(selected + 1).toLocaleString("en")} is shown.`;
    const count = `${matches.length.toLocaleString("en")} of ${entries.length.toLocaleString("en")}`;
    byId("matches").textContent = `${count} trajectories match.${number}`;
  }

  function showList() {
    const pages = Math.max(1, Math.ceil(matches.length / PAGE_SIZE));
    const page = Math.floor(selected / PAGE_SIZE);
    const first = page * PAGE_SIZE;
    const items = matches.slice(first, first + PAGE_SIZE).map((index, place) => {
      return listItem(entries[index], first + place, first + place === selected);
    });
    list.replaceChildren(...items);
    if (items.length === 0) list.removeAttribute("aria-activedescendant");
    else list.setAttribute("aria-activedescendant", `match-${selected}`);
    keepInView(items[selected - first]);
    byId("page").textContent = `${(page + 1).toLocaleString("en")} of ${pages.toLocaleString("en")}`;
    setUsable("earlier", page > 0);
    setUsable("later", page < pages - 1);
    setUsable("previous", selected > 0);
    setUsable("next", selected < matches.length - 1);
  }

  /** Scrolls the list alone: scrollIntoView would move the page under someone who reads below it. */
  function keepInView(item) {
    if (item === undefined) return;
    const top = item.offsetTop - list.offsetTop;
    const above = list.scrollTop - top;
    const below = top + item.offsetHeight - list.scrollTop - list.clientHeight;
    if (above > 0) list.scrollTop -= above;
    else if (below > 0) list.scrollTop += below;
  }

  function showTrajectory() {
    const nodes = matches.length === 0
      ? [element("p", "soft", "No trajectory matches. Choose “all” in a filter, shorten the text, or clear the filters.")]
      : across
        ? acrossNodes(entries[matches[selected]], data)
        : trajectoryNodes(entries[matches[selected]], data, asTokens);
    byId("trajectory").replaceChildren(...nodes);
  }

  const STEPS = { ArrowUp: -1, ArrowDown: 1, PageUp: -PAGE_SIZE, PageDown: PAGE_SIZE, Home: -Infinity, End: Infinity };
  list.addEventListener("keydown", (event) => {
    if (!(event.key in STEPS)) return;
    event.preventDefault();
    select(selected + STEPS[event.key]);
  });
  list.addEventListener("click", (event) => {
    const item = event.target.closest("li");
    if (item !== null) select(Number(item.dataset.place));
  });
  byId("previous").addEventListener("click", () => select(selected - 1));
  byId("next").addEventListener("click", () => select(selected + 1));
  byId("earlier").addEventListener("click", () => select(selected - PAGE_SIZE));
  byId("later").addEventListener("click", () => select(selected + PAGE_SIZE));
  byId("tokens").addEventListener("click", (event) => {
    if (across) return;
    asTokens = !asTokens;
    event.currentTarget.setAttribute("aria-pressed", String(asTokens));
    showTrajectory();
  });
  byId("across").addEventListener("click", (event) => {
    across = !across;
    event.currentTarget.setAttribute("aria-pressed", String(across));
    setUsable("tokens", !across);
    showTrajectory();
  });
  for (const name of FILTERS) byId(`filter-${name}`).addEventListener("change", filter);
  byId("filter-text").addEventListener("input", filter);
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("filters").addEventListener("reset", () => setTimeout(filter)); // after the fields have been cleared
  fillFilters(entries);
  filter(); // a reloaded page may come with filters set
}

startTrajectories();
