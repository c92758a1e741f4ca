const DATA = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const INPUTS = DATA.inputs, OPTIONS = DATA.options, YEARS = DATA.years, LAST = YEARS.length - 1;
const CENTRAL = Object.fromEntries(INPUTS.map((one) => [one.id, one.central]));
const BY_ID = Object.fromEntries(INPUTS.map((one) => [one.id, one]));
const state = Object.assign({}, CENTRAL);
const weights = Object.fromEntries(DATA.criteria.ids.map((id) => [id, 1]));
let moved = DATA.moved;

// --- writing, as ess_analysis.french does ---
const number = (x, decimals) => {
  const [whole, part] = Math.abs(x).toFixed(decimals).split(".");
  const text = whole.replace(/\B(?=(\d{3})+$)/g, "\u202f") + (part ? "," + part : "");
  return (x < 0 && /[1-9]/.test(text) ? "\u2212" : "") + text;
};
const euros = (x) => number(x, 0) + "\u00a0€";
const percent = (x, decimals) => number(x * 100, decimals) + "\u00a0%";
const signed = (text) => (text.startsWith("\u2212") ? text : "+" + text);
const listing = (items) => items.length < 2 ? items.join("") : items.slice(0, -1).join(", ") + " et " + items[items.length - 1];
const rounded = (one, x) => Number((Math.round(x / (one.step / 10)) * (one.step / 10)).toFixed(10));
const typographic = (text) => text.replace(/[ \u00a0]+([;!?»])/g, "\u202f$1").replace(/[ \u00a0]+:/g, "\u00a0:")
  .replace(/«[ \u00a0]+/g, "«\u202f").replace(/(?<=[\p{L}\p{N}_])'(?=[\p{L}\p{N}_])/gu, "’");
function said(one, value) {
  for (const [label, choice] of one.choices) if (choice === value) return label;
  if (one.unit.startsWith("part")) {
    const whole = Math.abs(value * 100 - Math.round(value * 100)) < 1e-9;
    return (percent(value, whole ? 0 : 1) + " " + one.unit.slice(4).trim()).trim();
  }
  if (one.unit.startsWith("indice")) return number(value, 2);
  const tenths = Math.abs(value * 10 - Math.round(value * 10)) < 1e-9;
  return number(value, Math.abs(value) >= 1000 || Number.isInteger(value) ? 0 : tenths ? 1 : 2) + "\u00a0" + one.unit;
}
const WRITE = {
  N_sum: (x) => number(x, 1), C: (x) => number(x, 0), W_mean: (x) => number(x, 0),
  lille_share: (x) => percent(x, 0), unused_sum: (x) => euros(Math.round(x / 1000) * 1000),
};
const write = (id, text) => { const node = $(id); if (node && node.textContent !== text) node.textContent = text; };

// --- ranges: the same Latin hypercube as Python ---
function triangular(one, u) {
  const low = one.low, mode = one.central, high = one.high;
  return u < (mode - low) / (high - low) ? low + Math.sqrt(u * (high - low) * (mode - low))
    : high - Math.sqrt((1 - u) * (high - low) * (high - mode));
}
function quantile(sorted, share) {
  const at = (sorted.length - 1) * share, below = Math.floor(at), above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (sorted[above] - sorted[below]) * (at - below);
}
const LEVELS = DATA.levels.map((text) => Uint16Array.from({length: DATA.draws}, (_, draw) =>
  64 * DATA.digits.indexOf(text[2 * draw]) + DATA.digits.indexOf(text[2 * draw + 1])));
function ranges(inputs) {
  const found = {}, count = DATA.draws;
  for (const option of OPTIONS) found[option] = Object.fromEntries(DATA.headlines.map((name) => [name, []]));
  for (let draw = 0; draw < count; draw++) {
    const p = Object.assign({}, inputs);
    DATA.drawable.forEach((id, column) => {
      if (inputs[id] === CENTRAL[id]) p[id] = triangular(BY_ID[id], (LEVELS[column][draw] + 0.5) / count);
    });
    const run = simulate(p);
    for (const option of OPTIONS) for (const name of DATA.headlines) found[option][name].push(run[option][name][LAST]);
  }
  for (const option of OPTIONS) for (const name of DATA.headlines) {
    const sorted = found[option][name].sort((a, b) => a - b);
    found[option][name] = [quantile(sorted, DATA.low), quantile(sorted, DATA.high)];
  }
  return found;
}

// --- switching values: a scan, then halving ---
function switches(inputs, id) {
  const one = BY_ID[id], [low, high] = one.window, steps = DATA.scan, grid = [], runs = [];
  for (let i = 0; i <= steps; i++) {
    grid.push(low + (high - low) * (i / steps));
    runs.push(simulate(Object.assign({}, inputs, {[id]: grid[i]})));
  }
  const found = [];
  for (const name of ["N_sum", "C", "W_mean"]) for (let a = 0; a < OPTIONS.length; a++) for (let b = a + 1; b < OPTIONS.length; b++) {
    const gapOf = (run) => {
      const gap = run[OPTIONS[a]][name][LAST] - run[OPTIONS[b]][name][LAST];
      return Math.abs(gap) < DATA.equal ? 0 : gap;
    };
    let last = -1;
    runs.forEach((run, i) => {
      const gap = gapOf(run);
      if (!gap) return;
      if (last >= 0 && Math.sign(gapOf(runs[last])) !== Math.sign(gap)) {
        let left = grid[last], right = grid[i];
        if (i > last + 1) left = right = grid[last + 1];
        for (let n = 0; n < 60 && left !== right; n++) {
          const middle = (left + right) / 2;
          const here = simulate(Object.assign({}, inputs, {[id]: middle}));
          const inner = here[OPTIONS[a]][name][LAST] - here[OPTIONS[b]][name][LAST];
          if (Math.sign(inner) === Math.sign(gap)) right = middle; else left = middle;
        }
        const value = (left + right) / 2, rises = gap > 0;
        found.push({name, value, ahead: rises !== (name === "W_mean") ? OPTIONS[a] : OPTIONS[b],
          pair: [OPTIONS[a], OPTIONS[b]], inside: value >= one.low - 1e-9 && value <= one.high + 1e-9});
      }
      last = i;
    });
  }
  return found;
}
function told(id, found, value) {
  const one = BY_ID[id];
  if (!found.length) return [`Aucune valeur de « ${one.label} » ne change l’ordre des scénarios.`];
  const undecided = (row) => row.pair.join() === DATA.undecided.join();
  const answers = one.choices.map(([, choice]) => choice).sort((a, b) => a - b);
  return [...found].sort((a, b) => b.inside - a.inside || undecided(b) - undecided(a)).map((row) => {
    const above = value < row.value;
    const ahead = above ? row.ahead : row.pair.find((option) => option !== row.ahead);
    const behind = row.pair.find((option) => option !== ahead);
    const beyond = row.inside ? "" : ", hors des bornes jugées plausibles";
    const next = above ? answers.find((choice) => choice > row.value) : answers.findLast((choice) => choice < row.value);
    const where = next === undefined ? `${above ? "Au-dessus" : "Au-dessous"} de ${said(one, rounded(one, row.value))}` : `Avec « ${said(one, next)} »`;
    return `${where}${beyond}, ${ahead} ${DATA.ahead[row.name]} que ${behind}.`;
  });
}

// --- what changed, and why ---
function split(option) {
  const only = (panel) => Object.fromEntries(INPUTS.map((one) => [one.id, one.panel === panel ? state[one.id] : one.central]));
  const end = (inputs) => simulate(inputs)[option].N_sum[LAST];
  const none = end(CENTRAL), d = end(only("decision")), a = end(only("assumption")), both = end(state);
  const interaction = both - d - a + none;
  return {before: none, after: both, decisions: d - none + interaction / 2, assumptions: a - none + interaction / 2, interaction};
}
function impossible(run) {
  const reasons = new Map();
  for (const option of OPTIONS) {
    const nil = (name) => YEARS.filter((_, k) => run[option][name][k] <= 0);
    const span = (years) => years.length === YEARS.length ? "chaque année" : "en " + listing(years);
    let reason = "";
    if (nil("B").length) reason = `${span(nil("B"))}, le budget est nul`;
    else if (nil("M").length) reason = `${span(nil("M"))}, le transfert à Lille prend tout le budget (${euros(run[option].L[YEARS.indexOf(nil("M")[0])])}), rien ne reste`;
    else if (nil("G").length) reason = `${span(nil("G"))}, après Lille et l’ingénierie rien ne reste pour les subventions`;
    else if (nil("staffed").length) reason = `${span(nil("staffed"))}, l’équipe n’a aucun jour à y passer`;
    if (reason) reasons.set(reason, [...(reasons.get(reason) || []), option]);
  }
  return [...reasons].map(([reason, options]) => `Impossible de soutenir un projet en ${listing(options)} : ${reason}.`);
}
function headline(run) {
  const n = (option) => WRITE.N_sum(run[option].N_sum[LAST]), w = (option) => WRITE.W_mean(run[option].W_mean[LAST]);
  return `De 2015 à 2020, avec ces réglages : ${n("S1")} projets soutenus si l’appel est poursuivi (S1), ${n("S2")} s’il est réorienté (S2), ${n("S3")} s’il s’arrête (S3), contre ${n("S0")} pour la référence (S0). L’équipe y passerait ${w("S1")}, ${w("S2")} et ${w("S3")} jours par an ; elle en a ${number(state.H, 0)}.`;
}
function loss() {
  const kept = state.tau, transfer = state.TL, count = DATA.actions;
  if (kept >= 1) return "Tout le transfert à Lille est conservé : aucune action de l’annexe 2 n’est touchée.";
  const removed = euros(Math.round(transfer * (1 - kept)));
  if (kept <= 0) return `${removed} par an ne vont plus à Lille : les ${count} de l’annexe 2 perdent cet argent.`;
  return `${removed} par an ne vont plus à Lille, sur ${euros(transfer)} : il faut choisir parmi les ${count} de l’annexe 2. La note ne dit pas lesquelles arrêter.`;
}

// --- showing ---
const bar = (name, option, share) => { const node = $(`bar-${name}-${option}`); if (node) node.setAttribute("width", `${(100 * share).toFixed(3)}%`); };
function showNow() {
  const run = simulate(state), changed = INPUTS.filter((one) => state[one.id] !== one.central);
  for (const option of OPTIONS) {
    for (const name of DATA.headlines) {
      write(`v-${name}-${option}`, WRITE[name](run[option][name][LAST]));
      if (DATA.bars[name]) { write(`b-${name}-${option}`, WRITE[name](run[option][name][LAST])); bar(name, option, Math.min(1, run[option][name][LAST] / DATA.bars[name])); }
    }
    YEARS.forEach((year, k) => {
      const block = DATA.blocks[run[option].block[k]], cell = $(`k-${option}-${year}`);
      cell.className = block;
      write(`k-${option}-${year}`, `${DATA.words[block]} (${number(run[option].N[k], 1)})`);
    });
  }
  const at = `${(100 * Math.min(1, run.S0.N_sum[LAST] / DATA.bars.N_sum)).toFixed(3)}%`;
  for (const mark of document.querySelectorAll(".mark-N_sum")) { mark.setAttribute("x1", at); mark.setAttribute("x2", at); }
  const capacity = `${(100 * Math.min(1, state.H / DATA.bars.W_mean)).toFixed(3)}%`;
  for (const mark of document.querySelectorAll(".mark-W_mean")) { mark.setAttribute("x1", capacity); mark.setAttribute("x2", capacity); }
  write("capacity", number(state.H, 0));
  write("loss", typographic(loss()));
  const problems = impossible(run);
  write("problems", typographic(problems.join(" ")));
  write("mini", OPTIONS.map((option) => `${option}\u00a0: ${WRITE.N_sum(run[option].N_sum[LAST])}`).join(" · ") + " projets");
  for (const one of INPUTS.filter((one) => one.low < one.high)) {
    const different = state[one.id] !== one.central, badge = $(`badge-${one.id}`), slider = $(`in-${one.id}`);
    write(`out-${one.id}`, said(one, state[one.id]));
    write(`set-${one.id}`, said(one, state[one.id]));
    badge.className = different ? "badge modified" : "badge";
    badge.textContent = different ? "modifié" : one.badge;
    write(`status-${one.id}`, different ? "modifié" : one.badge);
    $(`reset-${one.id}`).hidden = !different;
    if (one.choices.length) slider.value = String(state[one.id]);
    else { slider.value = state[one.id]; slider.setAttribute("aria-valuetext", said(one, state[one.id])); }
  }
  write("splitline", typographic(changed.length
    ? `Réglages modifiés\u00a0: ${listing(changed.map((one) => `${one.label} (${said(one, state[one.id])})`))}.`
    : "Rien n’est modifié : les réglages sont ceux de départ."));
  $("split").hidden = !changed.length;
  if (changed.length) for (const option of OPTIONS) {
    const part = split(option), text = (x) => signed(number(x, 1));
    write(`s-before-${option}`, number(part.before, 1)); write(`s-after-${option}`, number(part.after, 1));
    write(`s-decisions-${option}`, text(part.decisions)); write(`s-assumptions-${option}`, text(part.assumptions));
    write(`s-interaction-${option}`, text(part.interaction));
  }
  showRanking();
  return run;
}
let later = 0;
function show() {
  const run = showNow();
  clearTimeout(later);
  later = setTimeout(() => {
    write("live", typographic(headline(run)));
    showRanges();
    showSwitches();
    saveState();
    later = 0;
  }, 180);
}
function showRanges() {
  const found = ranges(state);
  for (const option of OPTIONS) for (const name of DATA.headlines) {
    const [low, high] = found[option][name];
    write(`r-${name}-${option}`, `[${WRITE[name](low)} à ${WRITE[name](high)}]`);
    const line = $(`range-${name}-${option}`);
    if (line) { line.setAttribute("x1", `${(100 * Math.min(1, low / DATA.bars[name])).toFixed(3)}%`); line.setAttribute("x2", `${(100 * Math.min(1, high / DATA.bars[name])).toFixed(3)}%`); }
  }
}
function showSwitches() {
  write("switchname", typographic(`Et si « ${BY_ID[moved].label} » changeait ?`));
  const list = $("switches"), texts = told(moved, switches(state, moved), state[moved]).map(typographic);
  write("switchline", typographic(texts[0].includes("«\u202f" + BY_ID[moved].label) ? texts[0] : `${BY_ID[moved].label} : ${texts[0][0].toLowerCase()}${texts[0].slice(1)}`));
  if ([...list.children].map((li) => li.textContent).join("|") === texts.join("|")) return;
  list.replaceChildren(...texts.map((text) => Object.assign(document.createElement("li"), {textContent: text})));
}
function showRanking() {
  const total = DATA.criteria.ids.reduce((sum, id) => sum + weights[id], 0);
  if (!total) { write("ranking", "Tous les poids sont à zéro : rien ne départage les scénarios."); return; }
  const scores = DATA.criteria.options.map((option, row) => ({option, score: DATA.criteria.ids.reduce((sum, id, column) => sum + weights[id] * DATA.criteria.central[row][column], 0) / total}));
  scores.sort((a, b) => b.score - a.score || (a.option < b.option ? -1 : 1));
  const equal = DATA.criteria.ids.every((id) => weights[id] === weights[DATA.criteria.ids[0]]);
  write("ranking", typographic(`${equal ? "À poids égaux" : "À ces poids"} : ${scores.map((one) => `${one.option} ${signed(number(one.score, 2))}`).join(", ")} ; la référence S0 est à 0. ${equal ? DATA.criteria.restsEqual : DATA.criteria.restsChosen}`));
  for (const id of DATA.criteria.ids) { write(`wout-${id}`, number(weights[id], 0)); $(`w-${id}`).value = weights[id]; }
}

// --- the state, in the link ---
function saveState() {
  const parts = INPUTS.filter((one) => state[one.id] !== one.central).map((one) => `${one.id}=${state[one.id]}`);
  for (const id of DATA.criteria.ids) if (weights[id] !== 1) parts.push(`w.${id}=${weights[id]}`);
  const hash = parts.length ? "#" + parts.join("&") : "";
  if (hash !== location.hash) history.replaceState(null, "", hash || location.pathname + location.search);
}
function readState() {
  const text = location.hash.slice(1), clamped = [], ignored = [];
  if (!text.includes("=")) return false;
  Object.assign(state, CENTRAL);
  for (const id of DATA.criteria.ids) weights[id] = 1;
  for (const part of text.split("&").slice(0, 100)) {
    const [name, raw] = part.split("="), value = raw && /^-?\d+(\.\d+)?(e-?\d+)?$/i.test(raw) ? Number(raw) : NaN;
    const known = Object.hasOwn(BY_ID, name) ? BY_ID[name] : null;
    const criterion = name.startsWith("w.") && DATA.criteria.ids.includes(name.slice(2)) ? name.slice(2) : null;
    if (!Number.isFinite(value) || (!known && !criterion) || (known && known.low === known.high)) { ignored.push(part.slice(0, 40)); continue; }
    if (criterion) { weights[criterion] = Math.round(Math.min(5, Math.max(0, value))); continue; }
    if (known.choices.length && !known.choices.some(([, choice]) => choice === value)) { ignored.push(part.slice(0, 40)); continue; }
    state[name] = Math.min(known.high, Math.max(known.low, value));
    if (state[name] !== value) clamped.push(`${known.label} (${said(known, state[name])})`);
    moved = name;
  }
  const notes = [];
  if (clamped.length) notes.push(`Le lien demandait des valeurs hors bornes, ramenées à la borne : ${listing(clamped)}.`);
  if (ignored.length) notes.push(`Le lien contenait des réglages illisibles, ignorés : ${listing(ignored.map((part) => `« ${part} »`))}.`);
  write("linknote", typographic(notes.join(" ")));
  return true;
}

// --- my commune ---
function showCommune() {
  const chosen = $("commune").value, commune = chosen === "" ? null : DATA.communes[Number(chosen)];
  write("told", commune ? typographic(commune.told.join(" ")) : "");
  $("opens").hidden = !commune;
}

// --- listening ---
document.documentElement.classList.add("js");
for (const one of INPUTS.filter((one) => one.low < one.high)) {
  const change = (value) => { state[one.id] = value; moved = one.id; show(); };
  $(`in-${one.id}`).addEventListener("input", (event) => {
    const typed = Number(event.target.value);
    const value = one.choices.length ? typed : Math.round((typed - one.low) / one.step) * one.step + one.low;
    change(Math.min(one.high, Math.max(one.low, Number(value.toFixed(10)))));
  });
  $(`reset-${one.id}`).addEventListener("click", () => { change(one.central); $(`in-${one.id}`).focus(); });
}
for (const id of DATA.criteria.ids) $(`w-${id}`).addEventListener("input", (event) => { weights[id] = Number(event.target.value); show(); });
$("resetall").addEventListener("click", () => { Object.assign(state, CENTRAL); for (const id of DATA.criteria.ids) weights[id] = 1; write("linknote", ""); show(); });
$("print").addEventListener("click", () => window.print());
$("commune").addEventListener("change", showCommune);
addEventListener("hashchange", () => { if (readState()) show(); else saveState(); });
addEventListener("beforeprint", () => { for (const one of document.querySelectorAll("details")) one.open = true; });
readState();
showCommune();
show();
