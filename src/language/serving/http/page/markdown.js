// Markdown as nodes of the document. Text only ever becomes text nodes and attributes that are checked here, so that
// whatever a model writes, no markup of its own is run and nothing is fetched. Unfinished text, as it streams, is fine.

const kDeepest = 12; // of quotes and lists in each other; deeper ones are plain text

function make(name, ...children) {
  const element = document.createElement(name);
  element.append(...children);
  return element;
}

// The address where it is one that a click may open; null otherwise.
export function safeAddress(text) {
  try {
    const url = new URL(text);
    return ['http:', 'https:', 'mailto:'].includes(url.protocol) ? url.href : null;
  } catch {
    return null;
  }
}

function link(address, ...label) {
  const element = make('a', ...label);
  element.href = address;
  element.rel = 'noopener noreferrer nofollow';
  element.target = '_blank';
  return element;
}

// Inline marks. What a delimiter lacks once it lacks from there on, so the scan stays linear.
export function inline(text, depth = 0) {
  const nodes = [];
  const absent = new Set();
  let plain = '';
  let at = 0;

  const flush = () => {
    if (plain) nodes.push(document.createTextNode(plain));
    plain = '';
  };
  const push = (node, next) => {
    flush();
    nodes.push(node);
    at = next;
  };
  const find = (what, from) => {
    if (absent.has(what)) return -1;
    const found = text.indexOf(what, from);
    if (found < 0) absent.add(what);
    return found;
  };

  const code = () => {
    let run = 1;
    while (text[at + run] === '`') run++;
    const end = find('`'.repeat(run), at + run);
    if (end < 0) {
      plain += '`'.repeat(run);
      at += run;
    } else {
      push(make('code', text.slice(at + run, end).replace(/^ (.*) $/s, '$1')), end + run);
    }
    return true;
  };

  const emphasis = (mark, name) => {
    if (!text.startsWith(mark, at)) return false;
    const inside = text[at + mark.length];
    if (inside === undefined || /\s/.test(inside)) return false;
    if (mark[0] === '_' && /\w/.test(text[at - 1] ?? '')) return false;
    let end = find(mark, at + mark.length + 1);
    // The mark of one character does not end inside a mark of two.
    while (end >= 0 && mark.length === 1 && text[end + 1] === mark) end = find(mark, end + 2);
    if (end < 0 || /\s/.test(text[end - 1])) return false;
    push(make(name, ...inline(text.slice(at + mark.length, end), depth + 1)), end + mark.length);
    return true;
  };

  const named = () => {
    const start = text[at] === '!' ? at + 1 : at; // pictures are not fetched: their link is shown
    if (text[start] !== '[') return false;
    const middle = find('](', start);
    if (middle < 0) return false;
    const end = find(')', middle);
    if (end < 0) return false;
    const label = text.slice(start + 1, middle);
    const address = safeAddress(text.slice(middle + 2, end).trim().split(/\s/)[0]);
    if (address === null || label.includes('[')) return false;
    push(link(address, ...inline(label, depth + 1)), end + 1);
    return true;
  };

  const bare = () => {
    if (!/^https?:\/\//.test(text.slice(at, at + 8)) || /\w/.test(text[at - 1] ?? '')) return false;
    let end = at;
    while (end < text.length && !/[\s<>"`]/.test(text[end])) end++;
    while (/[.,;:!?)\]'*_]/.test(text[end - 1])) end--;
    const address = safeAddress(text.slice(at, end));
    if (address === null) return false;
    push(link(address, text.slice(at, end)), end);
    return true;
  };

  while (at < text.length) {
    const c = text[at];
    if (c === '\\' && /[!-/:-@[-`{-~]/.test(text[at + 1] ?? '')) {
      plain += text[at + 1];
      at += 2;
    } else if (c === '\n') {
      push(make('br'), at + 1);
    } else if (c === '`' && code()) {
      continue;
    } else if (depth < kDeepest && (c === '*' || c === '_') &&
               (emphasis(c + c, 'strong') || emphasis(c, 'em'))) {
      continue;
    } else if (depth < kDeepest && c === '~' && emphasis('~~', 'del')) {
      continue;
    } else if ((c === '[' || c === '!') && depth < kDeepest && named()) {
      continue;
    } else if (c === 'h' && bare()) {
      continue;
    } else {
      plain += c;
      at++;
    }
  }
  flush();
  return nodes;
}

const kFence = /^ {0,3}(`{3,}|~{3,})[ \t]*([\w+#.-]*)/;
const kHeading = /^ {0,3}(#{1,6})[ \t]/;
const kRule = /^ {0,3}([-*_])(?:[ \t]*\1){2,}[ \t]*$/;
const kItem = /^( {0,6})([-*+]|\d{1,9}[.)])[ \t]+/;
const kQuote = /^ {0,3}> ?/;

function cells(line) {
  return line.trim().replace(/^\|/, '').replace(/\|$/, '').split('|').map((cell) => cell.trim());
}
function beginsTable(lines, at) {
  if (!lines[at].includes('|') || at + 1 >= lines.length || !lines[at + 1].includes('-')) return false;
  const below = cells(lines[at + 1]);
  return below.length === cells(lines[at]).length && below.every((cell) => /^:?-+:?$/.test(cell));
}
function beginsBlock(lines, at) {
  const line = lines[at];
  return kFence.test(line) || kHeading.test(line) || kRule.test(line) || kItem.test(line) || kQuote.test(line) ||
    beginsTable(lines, at);
}

function codeBlock(lines, at, match, into) {
  const body = [];
  let next = at + 1;
  const closes = (line) => {
    const text = line.trim();
    return text.length >= match[1].length && text === match[1][0].repeat(text.length);
  };
  while (next < lines.length && !closes(lines[next])) body.push(lines[next++]);
  const copy = make('button', 'Copy');
  copy.type = 'button';
  copy.dataset.copy = 'code';
  const block = make('div', make('div', make('span', match[2] || 'text'), copy),
                     make('pre', make('code', body.join('\n'))));
  block.className = 'code';
  block.querySelector('pre').tabIndex = 0; // it scrolls: the keyboard must reach it
  into.append(block);
  return next + 1;
}

function list(lines, at, depth, into) {
  const first = kItem.exec(lines[at]);
  const ordered = /\d/.test(first[2]);
  const element = make(ordered ? 'ol' : 'ul');
  if (ordered) element.start = parseInt(first[2], 10);
  while (at < lines.length) {
    const match = kItem.exec(lines[at]);
    if (!match || /\d/.test(match[2]) !== ordered || kRule.test(lines[at])) break;
    const width = Math.min(match[0].length, match[1].length + match[2].length + 4);
    const own = [lines[at].slice(match[0].length)];
    for (at++; at < lines.length; at++) {
      const line = lines[at];
      const indent = line.length - line.trimStart().length;
      if (line.trim() === '') {
        const after = lines[at + 1] ?? '';
        if (after.trim() === '' || after.length - after.trimStart().length < 2) break;
        own.push('');
      } else if (indent >= Math.min(width, 2) && indent > match[1].length) {
        own.push(line.slice(Math.min(indent, width)));
      } else if (!beginsBlock(lines, at)) {
        own.push(line);
      } else {
        break;
      }
    }
    const item = make('li');
    blocks(own, depth + 1, item);
    // An item of one paragraph is that text.
    if (item.children.length > 0 && item.firstChild.nodeName === 'P' &&
        [...item.children].filter((child) => child.nodeName === 'P').length === 1) {
      item.firstChild.replaceWith(...item.firstChild.childNodes);
    }
    element.append(item);
    while (at + 1 < lines.length && lines[at].trim() === '' && kItem.test(lines[at + 1])) at++;
  }
  into.append(element);
  return at;
}

function table(lines, at, into) {
  const row = (name, texts) => make('tr', ...texts.map((text) => make(name, ...inline(text))));
  const head = cells(lines[at]);
  const body = make('tbody');
  at += 2;
  while (at < lines.length && lines[at].includes('|')) {
    const texts = cells(lines[at++]).slice(0, head.length);
    body.append(row('td', texts));
  }
  const holder = make('div', make('table', make('thead', row('th', head)), body));
  holder.className = 'scroll';
  holder.tabIndex = 0;
  into.append(holder);
  return at;
}

function blocks(lines, depth, into) {
  let at = 0;
  while (at < lines.length) {
    const line = lines[at];
    let match;
    if (line.trim() === '') {
      at++;
    } else if ((match = kFence.exec(line))) {
      at = codeBlock(lines, at, match, into);
    } else if ((match = kHeading.exec(line))) {
      // The page has levels 1 and 2 itself.
      const text = line.slice(match[0].length).trim().replace(/ #+$/, '');
      into.append(make('h' + Math.min(match[1].length + 2, 6), ...inline(text)));
      at++;
    } else if (kRule.test(line)) {
      into.append(make('hr'));
      at++;
    } else if (depth < kDeepest && kQuote.test(line)) {
      const own = [];
      while (at < lines.length && kQuote.test(lines[at])) own.push(lines[at++].replace(kQuote, ''));
      const quote = make('blockquote');
      blocks(own, depth + 1, quote);
      into.append(quote);
    } else if (depth < kDeepest && kItem.test(line)) {
      at = list(lines, at, depth, into);
    } else if (beginsTable(lines, at)) {
      at = table(lines, at, into);
    } else {
      const own = [line.trim()];
      // Indentation stays: code often comes without a fence.
      for (at++; at < lines.length && lines[at].trim() !== '' && !(depth < kDeepest && beginsBlock(lines, at)); at++) {
        own.push(lines[at].trimEnd());
      }
      into.append(make('p', ...inline(own.join('\n'))));
    }
  }
}

export function renderMarkdown(text) {
  const fragment = document.createDocumentFragment();
  blocks(text.replaceAll('\r\n', '\n').replaceAll('\t', '    ').split('\n'), 0, fragment);
  return fragment;
}
