// The conversation: what was said, the answer that is being written, and the buttons around it.
import {request, streamOf} from './api.js';
import {renderMarkdown} from './markdown.js';
import {askForKey, sampling, setUpSettings, systemPrompt, wrongField} from './settings.js';
import {setUpLive, pollNow} from './live.js';

const byId = (id) => document.getElementById(id);
const log = byId('log');
const prompt = byId('prompt');

let turns = []; // {role, content, article}
let attempt = 0; // answers to the last message that were thrown away
let abort = null; // of the answer under way

function addTurn(role, content) {
  const article = document.createElement('article');
  article.className = role;
  article.setAttribute('aria-label', role === 'user' ? 'You' : 'Answer');
  const body = document.createElement('div');
  body.className = 'body';
  body.textContent = content;
  article.append(body);
  log.append(article);
  const turn = {role, content, article, body};
  turns.push(turn);
  log.scrollTop = log.scrollHeight;
  return turn;
}

function complain(text) {
  byId('problem').textContent = text;
  byId('problem').hidden = text === '';
}

function setBusy(busy) {
  byId('send').hidden = busy;
  byId('stop').hidden = !busy;
  byId('regenerate').hidden = busy || turns.length === 0;
}

// An answer as it grows: drawn once a frame at most, whatever the speed of the tokens.
class Growing {
  constructor(turn) {
    this.turn = turn;
    this.reasoning = '';
    this.pieces = 0;
    this.begun = performance.now();
    this.first = 0;
    this.last = 0;
    this.frame = 0;
    turn.article.classList.add('busy');
    turn.article.setAttribute('aria-busy', 'true');
  }

  add(delta) {
    const text = delta.content ?? '';
    const reasoning = delta.reasoning_content ?? '';
    if (!text && !reasoning) return;
    this.last = performance.now();
    this.first ||= this.last;
    this.pieces++;
    this.turn.content += text;
    this.reasoning += reasoning;
    this.frame ||= requestAnimationFrame(() => this.draw());
  }

  draw() {
    this.frame = 0;
    const pinned = log.scrollHeight - log.scrollTop - log.clientHeight < 80;
    const parts = [];
    if (this.reasoning) {
      const thought = document.createElement('div');
      thought.className = 'reasoning';
      thought.textContent = this.reasoning;
      parts.push(thought);
    }
    parts.push(renderMarkdown(this.turn.content));
    this.turn.body.replaceChildren(...parts);
    if (pinned) log.scrollTop = log.scrollHeight;
  }

  // `usage` is what the server counted; without it (a stopped answer) pieces are counted.
  finish(reason, usage, seed) {
    cancelAnimationFrame(this.frame);
    this.draw();
    this.turn.article.classList.remove('busy');
    this.turn.article.removeAttribute('aria-busy');
    const tokens = usage?.completion_tokens ?? this.pieces;
    const seconds = (this.last - this.first) / 1000;
    const facts = [`${tokens} tokens`];
    if (tokens > 1 && seconds > 0) facts.push(`${((tokens - 1) / seconds).toFixed(1)} tokens/s`);
    if (this.first) facts.push(`first after ${Math.round(this.first - this.begun)} ms`);
    if (seed !== undefined) facts.push(`seed ${seed}`);
    if (reason === 'length') facts.push('cut at max tokens');
    if (reason === 'stopped') facts.push('stopped');
    const foot = document.createElement('div');
    foot.className = 'foot';
    for (const fact of facts) foot.append(Object.assign(document.createElement('span'), {textContent: fact}));
    const copy = Object.assign(document.createElement('button'), {type: 'button', textContent: 'Copy'});
    copy.dataset.copy = 'answer';
    foot.append(copy);
    this.turn.article.append(foot);
    byId('announcement').textContent = `Answer ${reason === 'stopped' ? 'stopped' : 'complete'}: ${facts.join(', ')}`;
    log.scrollTop = log.scrollHeight;
  }
}

function settingsHold() {
  const wrong = wrongField();
  if (!wrong) return true;
  byId('settings').open = true;
  wrong.reportValidity();
  return false;
}

async function answer() {
  const messages = turns.map(({role, content}) => ({role, content}));
  if (systemPrompt()) messages.unshift({role: 'system', content: systemPrompt()});
  complain('');
  byId('announcement').textContent = 'Writing an answer';
  const growing = new Growing(addTurn('assistant', ''));
  abort = new AbortController();
  setBusy(true);
  let reason = 'stop';
  let usage, seed;
  try {
    const response = await request('/v1/chat/completions', {
      messages, stream: true, stream_options: {include_usage: true}, ...sampling(attempt),
    }, abort.signal);
    for await (const chunk of streamOf(response)) {
      usage = chunk.usage ?? usage;
      seed = chunk.seed ?? seed;
      for (const choice of chunk.choices) {
        growing.add(choice.delta);
        reason = choice.finish_reason ?? reason;
      }
    }
  } catch (error) {
    reason = 'stopped';
    if (error.name !== 'AbortError') {
      complain(error.message);
      if (error.status === 401) askForKey();
    }
  }
  abort = null;
  growing.finish(reason, usage, seed);
  if (growing.pieces === 0 && reason === 'stopped') turns.pop().article.remove();
  setBusy(false);
  prompt.focus();
  pollNow();
}

function send() {
  const text = prompt.value.trim();
  if (text === '' || abort || !settingsHold()) return;
  prompt.value = '';
  fitPrompt();
  attempt = 0;
  addTurn('user', text);
  answer();
}

function regenerate() {
  if (abort || turns.length === 0 || !settingsHold()) return;
  if (turns.at(-1).role === 'assistant') {
    turns.pop().article.remove();
    attempt++;
  }
  answer();
}

function fitPrompt() {
  prompt.style.height = 'auto';
  prompt.style.height = prompt.scrollHeight + 2 + 'px';
}

async function copy(button) {
  const code = button.dataset.copy === 'code';
  const text = code ? button.closest('.code').querySelector('pre').textContent
                    : turns.find((turn) => turn.article.contains(button)).content;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = 'Copied';
  } catch {
    button.textContent = 'Not allowed';
  }
  setTimeout(() => { button.textContent = 'Copy'; }, 1500);
}

byId('composer').addEventListener('submit', (event) => {
  event.preventDefault();
  send();
});
prompt.addEventListener('input', fitPrompt);
prompt.addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  send();
});
document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape') abort?.abort();
});
byId('stop').addEventListener('click', () => abort?.abort());
byId('regenerate').addEventListener('click', regenerate);
byId('new-chat').addEventListener('click', () => {
  abort?.abort();
  turns = [];
  attempt = 0;
  log.replaceChildren();
  complain('');
  byId('regenerate').hidden = true;
  prompt.focus();
});
log.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-copy]');
  if (button) copy(button);
});

// On a narrow screen the machine is out of the way until it is asked for.
if (matchMedia('(max-width: 52rem)').matches) byId('machine').open = false;
setUpSettings(() => {
  complain('');
  pollNow();
});
setUpLive(askForKey);
prompt.focus();
