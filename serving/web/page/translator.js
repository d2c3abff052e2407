// A LiteRT model with its tokenizers: text to translations, within the browser.

import {loadAndCompile, loadLiteRt, Tensor} from './runtime/litert.js';
import {beforeEnd, END, Tokenizer} from './tokenizer.js';

let runtime = null;

/** LiteRT.js, which is loaded once. */
function loadRuntime() {
  runtime ??= loadLiteRt('runtime/wasm/');
  return runtime;
}

async function fetched(name) {
  const response = await fetch(name);
  if (!response.ok) throw new Error(`${name}: ${response.status} ${response.statusText}`);
  return response.arrayBuffer();
}

/** What a browser lacks to run the page; null if it has everything. */
export function missing() {
  if (location.protocol === 'file:') {
    return 'This page has to come from a web server: browsers read no files beside a page that was '
      + 'opened from a disk. "attention-nmt web --serve" is one.';
  }
  if (typeof WebAssembly === 'undefined') {
    return 'This browser has no WebAssembly, which runs the model. Any of the last years does.';
  }
  return null;
}

export class Translator {
  /** Loads everything that `model.json` names. */
  static async load() {
    const about = JSON.parse(new TextDecoder().decode(await fetched('model.json')));
    const [source, target, model] = await Promise.all([
      fetched(about.source_tokenizer),
      fetched(about.target_tokenizer),
      fetched(about.model),
      loadRuntime(),
    ]);
    const compiled = await loadAndCompile(new Uint8Array(model), {accelerator: 'wasm'});
    return new Translator(about, new Tokenizer(source), new Tokenizer(target), compiled);
  }

  constructor(about, source, target, model) {
    this.about = about;
    this.source = source;
    this.target = target;
    this.model = model;
    this.longest = Math.max(...about.lengths);
  }

  /**
   * The translations of a text, the best first.
   *
   * Each has `text`, `score`, `pieces` (of the target, the end symbol last, if it was reached) and `alignment`, a row of
   * weights over `sourcePieces` for each of them, or null for a model that does not align.
   */
  async translate(text) {
    const all = this.source.encode(text);
    if (!all.length) return {sourcePieces: [], truncated: false, translations: []};

    const ids = this.source.sourceIds(text, this.longest);
    const length = this.about.lengths.find((most) => ids.length <= most);
    const row = new Int32Array(length);
    row.set(ids);

    const input = new Tensor(row, [1, length]);
    const outputs = await this.model.run(`translate_${length}`, {source: input});
    const read = async (name) => outputs[name] && await outputs[name].data();
    const found = {ids: await read('ids'), scores: await read('scores')};
    found.alignments = await read('alignments');
    input.delete();
    for (const output of Object.values(outputs)) output.delete();

    return {
      sourcePieces: ids.map((id) => this.source.pieces[id]),
      truncated: all.length >= this.longest,
      translations: this.#unpacked(found, length, ids.length),
    };
  }

  #unpacked(found, width, sourceLength) {
    const count = found.scores.length;
    const longest = found.ids.length / count;
    return Array.from(found.scores, (score, rank) => {
      const ids = Array.from(found.ids.slice(rank * longest, (rank + 1) * longest));
      const pieces = beforeEnd(ids);
      // One that was cut at its most pieces has no end symbol.
      const steps = pieces.length + (ids[pieces.length] === END ? 1 : 0);
      const row = (step) => {
        const begin = (rank * longest + step) * width;
        return Array.from(found.alignments.slice(begin, begin + sourceLength));
      };
      return {
        text: this.target.decode(ids),
        score,
        pieces: ids.slice(0, steps).map((id) => this.target.pieces[id]),
        alignment: found.alignments ? Array.from({length: steps}, (_, step) => row(step)) : null,
      };
    });
  }
}
