// The page: a text, its translations, and what was read for each piece of them.

import {missing, Translator} from './translator.js';

const PAUSE_MS = 250;
const SPACE = '\u2581';

const elements = Object.fromEntries(
  [...document.querySelectorAll('[id]')].map((element) => [element.id, element]),
);
let translator = null;
let answer = null;
let chosen = 0;
let asked = 0;

function say(text) {
  elements.status.textContent = text;
}

/** A piece as people read it, with the space before a word. */
function shown(piece) {
  return piece === '</s>' ? ' ⏎' : piece.replaceAll(SPACE, ' ');
}

/** A piece by itself, where a space alone would not be seen. */
function named(piece) {
  return shown(piece).trim() || '␣';
}

async function translate() {
  const text = elements.text.value;
  const number = ++asked;
  const began = performance.now();
  try {
    const found = await translator.translate(text);
    if (number !== asked) return;  // another text has been typed since
    answer = found;
    chosen = 0;
    const took = Math.round(performance.now() - began);
    say(found.truncated ? `Too long: only the beginning was translated. ${took} ms` : `${took} ms`);
  } catch (error) {
    if (number !== asked) return;
    answer = null;
    say(`The translation failed: ${error.message}`);
  }
  draw();
}

function draw() {
  const translations = answer?.translations ?? [];
  elements.translation.textContent = translations[chosen]?.text ?? '';
  elements.alternatives.replaceChildren(...translations.map(alternative));
  drawReading(translations[chosen]);
}

function alternative(translation, rank) {
  const button = document.createElement('button');
  button.type = 'button';
  button.setAttribute('aria-pressed', String(rank === chosen));
  button.textContent = translation.text || '(nothing)';
  const score = document.createElement('small');
  score.textContent = ` ${translation.score.toFixed(3)}`;
  button.append(score);
  button.addEventListener('click', () => {
    chosen = rank;
    draw();
    elements.alternatives.querySelectorAll('button')[rank].focus();
  });
  const item = document.createElement('li');
  item.append(button);
  return item;
}

function drawReading(translation) {
  const aligns = Boolean(translation?.alignment);
  elements.reading.hidden = !aligns;
  if (!aligns) return;

  elements.source_pieces.replaceChildren(...answer.sourcePieces.map((piece) => {
    const span = document.createElement('span');
    span.textContent = shown(piece);
    return span;
  }));
  elements.target_pieces.replaceChildren(...translation.pieces.map((piece, step) => {
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = shown(piece);
    for (const event of ['mouseenter', 'focus', 'click']) {
      button.addEventListener(event, () => light(translation, step));
    }
    button.addEventListener('keydown', (event) => walk(event, step));
    return button;
  }));
  drawHeat(translation);
  light(translation, 0);
}

/** Arrow keys go from piece to piece. */
function walk(event, step) {
  const by = {ArrowRight: 1, ArrowLeft: -1}[event.key];
  const next = elements.target_pieces.children[step + by];
  if (by && next) {
    event.preventDefault();
    next.focus();
  }
}

/** Shows what was read for a piece: in the source, in the table, and as numbers. */
function light(translation, step) {
  const weights = translation.alignment[step];
  [...elements.source_pieces.children].forEach((span, position) => {
    span.style.setProperty('--weight', weights[position].toFixed(3));
  });
  [...elements.target_pieces.children].forEach((button, position) => {
    button.classList.toggle('lit', position === step);
  });
  [...elements.heat.rows].forEach((row, position) => {
    row.classList.toggle('lit', position === step + 1);
  });
  drawNumbers(translation.pieces[step], weights);
}

function drawHeat(translation) {
  const head = document.createElement('tr');
  head.append(cell('td', ''), ...answer.sourcePieces.map((piece) => cell('th', named(piece), 'col')));
  const rows = translation.alignment.map((weights, step) => {
    const row = document.createElement('tr');
    row.append(cell('th', named(translation.pieces[step]), 'row'));
    weights.forEach((weight) => {
      const box = cell('td', '');
      box.style.setProperty('--weight', weight.toFixed(3));
      box.title = weight.toFixed(3);
      row.append(box);
    });
    row.addEventListener('mouseenter', () => light(translation, step));
    return row;
  });
  elements.heat.replaceChildren(head, ...rows);
}

function cell(kind, text, scope) {
  const made = document.createElement(kind);
  made.textContent = text;
  if (scope) made.scope = scope;
  return made;
}

/** The step's numbers: energies (up to a constant), weights, and which annotations make the context. */
function drawNumbers(piece, weights) {
  const order = weights.map((weight, position) => [weight, position]).sort((a, b) => b[0] - a[0]);
  const greatest = Math.log(Math.max(order[0][0], 1e-9));
  const rows = order.slice(0, 5).map(([weight, position]) => {
    const row = document.createElement('tr');
    const energy = Math.log(Math.max(weight, 1e-9)) - greatest;
    row.append(
      cell('th', named(answer.sourcePieces[position]), 'row'),
      cell('td', energy.toFixed(2)),
      cell('td', `${(100 * weight).toFixed(1)} %`),
    );
    return row;
  });
  const head = document.createElement('tr');
  head.append(...['read', 'energy', 'weight'].map((name) => cell('th', name, 'col')));
  elements.numbers.replaceChildren(head, ...rows);
  elements.piece.textContent = named(piece);
}

function addExamples(examples) {
  elements.examples.replaceChildren(...examples.map((text) => {
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = text;
    button.addEventListener('click', () => {
      elements.text.value = text;
      translate();
    });
    return button;
  }));
}

async function start() {
  const lack = missing();
  if (lack) {
    say(lack);
    return;
  }
  if ('serviceWorker' in navigator && isSecureContext) {
    navigator.serviceWorker.register('worker.js').catch(() => {});  // it works without, but not offline
  }

  try {
    translator = await Translator.load();
  } catch (error) {
    say(`This browser could not load the model: ${error.message}`);
    return;
  }
  const {about} = translator;
  document.title = about.title;
  elements.title.textContent = about.title;
  if (about.source) elements.text.lang = about.source;
  if (about.target) elements.translation.lang = about.target;
  addExamples(about.examples);

  let pause = 0;
  elements.text.disabled = false;
  elements.text.addEventListener('input', () => {
    clearTimeout(pause);
    pause = setTimeout(translate, PAUSE_MS);
  });
  elements.text.value = about.examples[0] ?? '';
  document.documentElement.dataset.ready = 'true';
  await translate();
}

start();
