// --- One trajectory beside its teacher's ---------------------------------------------------------------------------

function shortNumber(value) {
  return value === null || value === undefined ? "–" : String(Number(value.toFixed(4)));
}

function textBlock(tag, className, text) {
  const block = element(tag, `text ${className}`, text);
  block.dir = "auto";
  return block;
}

/** A labelled fact; its value is a text or a node. */
function fact(list, name, value) {
  list.append(element("dt", "", name), element("dd", "", value));
}

function factsOf(entry) {
  const list = element("dl", "");
  fact(list, "from", `${entry.source}, ${entry.group}, ${entry.mode}`);
  fact(list, "task", entry.task);
  fact(list, "accepted answers", textBlock("span", "", entry.answers.join("  |  ")));
  fact(list, "verdict", element("span", entry.verdict, entry.verdict));
  fact(list, "ended by", entry.stop);
  return list;
}

/** Unweighted terms, what each contributes to the total and to the advantage. */
function rewardOf(reward) {
  const table = element("table", "reward");
  const given = reward.advantage_parts || {};
  const names = new Set([reward.terms, reward.parts, given].flatMap((values) => Object.keys(values)));
  names.delete("total");
  const head = ["reward", "term", "part of the total", "part of the advantage"].map((name) => element("th", "n", name));
  table.append(element("thead", "", element("tr", "", ...head)));
  const body = element("tbody", "");
  for (const name of names) {
    const values = [reward.terms, reward.parts, given].map((of) => element("td", "n", shortNumber(of[name])));
    body.append(element("tr", "", element("th", "", name), ...values));
  }
  const sums = [reward.total, reward.advantage].map((value) => element("td", "n", shortNumber(value)));
  body.append(element("tr", "", element("th", "", "total"), element("td", "n", ""), ...sums));
  table.append(body);
  const kind = reward.group_kind === null ? "" : `; answers of its group: ${reward.group_kind.replace("_", " ")}`;
  const advantage = element("p", "caption", `Advantage ${shortNumber(reward.advantage)}${kind}.`);
  if (reward.guidance !== undefined) {
    advantage.append(` Terms of the calls fade: they count times ${shortNumber(reward.guidance)} here.`);
  }
  if (Object.keys(reward.parts).length === 0) {
    advantage.append(" No weighted parts are stored: there is no total, it is no sum of terms, or the run is an old one.");
  }
  return element("div", "", table, advantage);
}

function callOf(call) {
  const block = element("div", "call", textBlock("span", "", `${call.name || "(no name)"} ${call.arguments}`));
  if (call.outcome) {
    const name = call.outcome === "ok" ? "ok" : "error";
    block.append("→ ", element("span", name, call.outcome), textBlock("span", "", call.reply));
  }
  return block;
}

function turnOf(turn, title) {
  const block = element("div", "", element("h4", "", title));
  if (turn.reasoning) block.append(textBlock("div", "soft", turn.reasoning));
  if (turn.text) block.append(textBlock("div", "", turn.text));
  if (!turn.text && turn.calls.length === 0) block.append(element("p", "soft", "(empty)"));
  block.append(...turn.calls.map(callOf));
  return block;
}

/**
 * The assistant's turns are numbered; the user's and a system text stand between them where there are several.
 * `advantages`: of the last turns, null where turns have none of their own.
 */
function turnsOf(turns, advantages = null) {
  let number = 0;
  const before = turns.filter((turn) => turn.role === "assistant").length - (advantages || []).length;
  const credit = (place) => (advantages && place >= 0 ? `, advantage ${shortNumber(advantages[place])}` : "");
  const assistant = () => `Turn ${(number += 1)}${credit(number - 1 - before)}`;
  const titles = { user: () => "User", system: () => "System text", assistant };
  return turns.map((turn) => turnOf(turn, titles[turn.role]()));
}

/** Line ends and tabs are drawn, so that a token of white space alone can be seen. */
function visibleText(text) {
  return text.replaceAll("\n", "⏎\n").replaceAll("\t", "⇥\t");
}

/**
 * Every token in an element of its own; `runs` are the lengths of context and trained runs in turn, context first.
 * `distilled`: of the trained tokens, null without a teacher. `starts`:
 * where a turn's prompt begins anew, without the thinking of earlier turns.
 */
function tokenTexts(ids, runs, starts, texts, distilled) {
  const block = element("div", "tokens text");
  let start = 0;
  let trained = 0;
  runs.forEach((length, place) => {
    ids.slice(start, start + length).forEach((id, offset) => {
      if (starts.includes(start + offset)) block.append(element("hr", ""));
      const shown = element(place % 2 ? "mark" : "span", "", texts === null ? `${id} ` : visibleText(texts[id]));
      shown.title = `token ${id}`;
      if (place % 2 && distilled) shown.title += `, advantage from the teacher ${shortNumber(distilled[trained++])}`;
      block.append(shown);
    });
    start += length;
  });
  return block;
}

function tokensOf(entry, shared) {
  if (entry.tokens === null) return [element("p", "soft", "No tokens are stored with this trajectory.")];
  const { tokenizer, prefix } = shared.sources[entry.source];
  const ids = [...prefix, ...entry.tokens.ids];
  const trained = entry.tokens.runs.filter((_, place) => place % 2).reduce((sum, length) => sum + length, 0);
  const legend = element("p", "legend", element("mark", "", "in the loss mask: sampled by the model"));
  legend.append(" ", element("span", "soft", "context: prompt, tool replies, template"));
  const about = element("p", "caption", `${ids.length} tokens, ${trained} of them in the loss mask.`);
  const distilled = entry.tokens.distilled;
  if (distilled && distilled.length) {
    const mean = distilled.reduce((sum, value) => sum + value, 0) / distilled.length;
    about.append(` Advantage from the teacher: ${shortNumber(mean)} on average; each token's is shown beside its number.`);
  }
  if (tokenizer === null) about.append(" No tokenizer.json was found, so these are token ids.");
  const starts = entry.tokens.starts;
  if (starts.length) about.append(` ${starts.length + 1} prompts, each after a line: earlier thinking is not in them.`);
  const texts = tokenizer === null ? null : shared.tokenizers[tokenizer];
  return [legend, about, tokenTexts(ids, entry.tokens.runs, starts, texts, distilled)];
}

function studentSide(entry, shared, asTokens) {
  const advantages = entry.reward === null ? null : entry.reward.turn_advantages;
  const shown = asTokens ? tokensOf(entry, shared) : turnsOf(entry.turns, advantages);
  return element("section", "", element("h3", "", "Student"), ...shown);
}

function teacherSide(entry, teachers) {
  const side = element("section", "", element("h3", "", "Teacher"));
  const turns = entry.teacher === "stored" ? teachers[entry.task] : entry.teacher;
  if (turns === null) {
    side.append(element("p", "soft", "No teacher is known for this task."));
  } else if (entry.teacher === "stored") {
    side.append(...turnsOf(turns));
  } else {
    side.append(element("p", "soft", turns[0].calls.length ? "Only its calls are known:" : "It used no tool."));
    side.append(...turns[0].calls.map(callOf));
  }
  return side;
}

/** The answers of all models to the question of `entry`, in the same split and decoding, beside the teacher's. */
function acrossNodes(entry, data) {
  const shared = ["task", "question", "group", "mode"];
  const same = data.entries.filter((other) => shared.every((key) => other[key] === entry[key]));
  const sides = same.map((other) => {
    const verdict = element("p", "", element("span", other.verdict, other.verdict), `, ended by ${other.stop}`);
    return element("section", "", element("h3", "", other.source), verdict, ...turnsOf(other.turns));
  });
  const where = `${entry.group}, ${entry.mode}: ${same.length} answers are in this page. Accepted: `;
  const about = element("p", "soft", where, textBlock("span", "", entry.answers.join("  |  ")));
  const question = textBlock("p", "question", entry.question);
  return [question, about, element("div", "sides across", ...sides, teacherSide(entry, data.teachers))];
}

/** Everything about one trajectory. */
function trajectoryNodes(entry, data, asTokens) {
  const nodes = [textBlock("p", "question", entry.question), factsOf(entry)];
  if (entry.reward !== null) nodes.push(rewardOf(entry.reward));
  const student = studentSide(entry, data.shared, asTokens);
  return [...nodes, element("div", "sides", student, teacherSide(entry, data.teachers))];
}
