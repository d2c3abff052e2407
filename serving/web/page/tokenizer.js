// SentencePiece unigram models in the browser: the `.model` file that the model was trained with.

export const END = 3;

const PAD = 0, UNKNOWN = 1;
const NORMAL = 1, BYTE = 6;
const SPACE = '\u2581';
const UNKNOWN_PENALTY = 10;

/** Reads the fields of a protocol buffer: calls `visit(number, value)` with bytes or a number. */
function readFields(bytes, visit) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;

  function varint() {
    let value = 0, scale = 1;
    for (;;) {
      const byte = bytes[at++];
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 128;
    }
  }

  while (at < bytes.length) {
    const key = varint();
    const number = Math.floor(key / 8);
    switch (key % 8) {
      case 0: visit(number, varint()); break;
      case 1: at += 8; break;
      case 2: {
        const length = varint();
        visit(number, bytes.subarray(at, at + length));
        at += length;
        break;
      }
      case 5: visit(number, view.getFloat32(at, true)); at += 4; break;
      default: throw new Error('not a SentencePiece model');
    }
  }
}

/** The rules of a normalization: a trie of what is replaced, and what it is replaced by. */
class Rules {
  constructor(bytes) {
    if (bytes.length < 4) {
      this.units = new Uint32Array(0);
      return;
    }
    const copy = bytes.slice();
    const size = new DataView(copy.buffer).getUint32(0, true);
    this.units = new Uint32Array(copy.buffer.slice(4, 4 + size));
    this.replacements = copy.subarray(4 + size);
  }

  /** The longest match at a position: its length and its replacement, or null. */
  match(bytes, begin) {
    if (!this.units.length) return null;
    let found = null;
    let node = offset(this.units[0]);
    for (let at = begin; at < bytes.length; at++) {
      node ^= bytes[at];
      const unit = this.units[node];
      if ((unit & 0x800000ff) >>> 0 !== bytes[at]) break;
      node ^= offset(unit);
      if ((unit >>> 8) & 1) {
        found = {length: at + 1 - begin, value: this.units[node] & 0x7fffffff};
      }
    }
    if (!found) return null;
    const end = this.replacements.indexOf(0, found.value);
    return {length: found.length, bytes: this.replacements.subarray(found.value, end)};
  }
}

function offset(unit) {
  return (unit >>> 10) << ((unit & (1 << 9)) >>> 6);
}

/** The number of bytes of the UTF-8 character that begins with a byte. */
function characterBytes(byte) {
  return byte < 0x80 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
}

export class Tokenizer {
  /** @param {ArrayBuffer} file the content of a `.model` file. */
  constructor(file) {
    this.pieces = [];
    this.ids = new Map();
    this.scores = new Map();
    this.types = [];
    let rules = new Uint8Array(0);
    const decoder = new TextDecoder('utf-8', {ignoreBOM: true});

    readFields(new Uint8Array(file), (number, value) => {
      if (number === 1) this.#addPiece(value, decoder);
      if (number === 3) {
        readFields(value, (field, content) => {
          if (field === 2) rules = content;
        });
      }
    });

    this.rules = new Rules(rules);
    this.longest = 1;
    let rarest = 0;
    for (const [piece, score] of this.scores) {
      this.longest = Math.max(this.longest, [...piece].length);
      rarest = Math.min(rarest, score);
    }
    this.unknownScore = Math.fround(rarest - UNKNOWN_PENALTY);
  }

  #addPiece(bytes, decoder) {
    let piece = '', score = 0, type = NORMAL;
    readFields(bytes, (number, value) => {
      if (number === 1) piece = decoder.decode(value);
      if (number === 2) score = value;
      if (number === 3) type = value;
    });
    const id = this.pieces.length;
    this.pieces.push(piece);
    this.types.push(type);
    this.ids.set(piece, id);
    if (type === NORMAL) this.scores.set(piece, score);
  }

  /** A text in the spelling of the pieces, with marks for spaces and one before the first word. */
  normalize(text) {
    const bytes = new TextEncoder().encode(text);
    const out = [];
    const space = 0x20;
    let at = 0;
    let afterSpace = true;  // spaces at the beginning are dropped

    while (at < bytes.length) {
      const match = this.rules.match(bytes, at);
      const length = match ? match.length : characterBytes(bytes[at]);
      const written = match ? match.bytes : bytes.subarray(at, at + length);
      for (const byte of written) {
        if (byte === space && afterSpace) continue;
        out.push(byte);
        afterSpace = byte === space;
      }
      at += length;
    }
    while (out.length && out[out.length - 1] === space) out.pop();
    if (!out.length) return '';
    return SPACE + new TextDecoder('utf-8', {ignoreBOM: true}).decode(new Uint8Array(out)).replaceAll(' ', SPACE);
  }

  /** The ids of the likeliest segmentation of a text, without the end symbol. */
  encode(text) {
    const characters = [...this.normalize(text)];
    const best = new Float32Array(characters.length + 1).fill(-Infinity);
    const begins = new Int32Array(characters.length + 1);
    best[0] = 0;

    for (let begin = 0; begin < characters.length; begin++) {
      let piece = '';
      let isKnown = false;
      const end = Math.min(characters.length, begin + this.longest);
      for (let at = begin; at < end; at++) {
        piece += characters[at];
        const score = this.scores.get(piece);
        if (score === undefined) continue;
        isKnown ||= at === begin;
        this.#keep(best, begins, begin, at + 1, score);
      }
      if (!isKnown) this.#keep(best, begins, begin, begin + 1, this.unknownScore);
    }

    const parts = [];
    for (let end = characters.length; end > 0; end = begins[end]) {
      parts.push(characters.slice(begins[end], end).join(''));
    }
    return parts.reverse().flatMap((part) => this.#partIds(part));
  }

  #keep(best, begins, begin, end, score) {
    const total = Math.fround(best[begin] + score);
    if (total > best[end]) {
      best[end] = total;
      begins[end] = begin;
    }
  }

  /** The id of a piece, or those of the bytes of a character without one. */
  #partIds(part) {
    if (this.scores.has(part)) return [this.ids.get(part)];
    return [...new TextEncoder().encode(part)].map((byte) => {
      const name = `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`;
      return this.ids.get(name) ?? UNKNOWN;
    });
  }

  /** What a model reads of a text: at most `limit` ids, the last of them the end symbol. */
  sourceIds(text, limit) {
    return [...this.encode(text).slice(0, limit - 1), END];
  }

  /** The text of ids up to the first end symbol or padding. */
  decode(ids) {
    let text = '';
    let bytes = [];
    const flush = () => {
      text += new TextDecoder('utf-8', {ignoreBOM: true}).decode(new Uint8Array(bytes));
      bytes = [];
    };
    for (const id of beforeEnd(ids)) {
      if (this.types[id] === BYTE) {
        bytes.push(parseInt(this.pieces[id].slice(3, 5), 16));
        continue;
      }
      flush();
      if (this.types[id] === NORMAL) text += this.pieces[id];
      else if (id === UNKNOWN) text += ' \u2047 ';
    }
    flush();
    if (text.startsWith(SPACE)) text = text.slice(1);
    return text.replaceAll(SPACE, ' ');
  }
}

/** Ids up to the first end symbol or padding. */
export function beforeEnd(ids) {
  const end = ids.findIndex((id) => id === END || id === PAD);
  return end < 0 ? [...ids] : [...ids.slice(0, end)];
}
