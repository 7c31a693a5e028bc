// The machine as it is: /status once a second while somebody looks.
import {request} from './api.js';

const byId = (id) => document.getElementById(id);
const kSeconds = 60; // that the curve shows
const kMostBars = 16;

let before = null;
let speeds = [];
let timer = 0;
let keyWanted = () => {};

const number = (value) => Math.round(value).toLocaleString('en');

function bytes(value) {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024;
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

function bar(parts) {
  const element = document.createElement('div');
  element.className = 'bar';
  for (const [name, share] of parts) {
    const part = document.createElement('span');
    part.className = name;
    part.style.width = 100 * Math.min(Math.max(share, 0), 1) + '%';
    element.append(part);
  }
  return element;
}

function showSpeeds(now) {
  const seconds = before ? now.seconds - before.seconds : 0;
  const rate = (name) => seconds > 0 ? (now[name] - before[name]) / seconds : 0;
  const answers = rate('answer_tokens');
  byId('answer-speed').textContent = number(answers);
  byId('prompt-speed').textContent = number(rate('prompt_tokens') - rate('reused_tokens'));
  speeds = [...speeds, answers].slice(-kSeconds);
  const top = Math.max(...speeds, 1);
  byId('history-line').setAttribute('points', speeds.map((speed, i) =>
    `${(i + kSeconds - speeds.length) * 120 / (kSeconds - 1)},${(23 - 22 * speed / top).toFixed(2)}`).join(' '));
}

function showBatch(now) {
  const parts = [];
  if (now.prefill) parts.push(`${now.prefill} being read`);
  if (now.decode) parts.push(`${now.decode} being answered`);
  if (now.waiting) parts.push(`${now.waiting} waiting`);
  byId('batch').textContent = parts.join(', ') || 'idle';
  byId('jobs').replaceChildren(...now.jobs.slice(0, kMostBars).map((job) => {
    const item = document.createElement('li');
    const whole = job.prompt_tokens + job.answer_tokens;
    const read = Math.min(job.cached, job.prompt_tokens);
    item.append(bar([['prefill', read / whole], ['decode', job.answered / whole]]));
    const text = `${read} of ${job.prompt_tokens} prompt tokens read, ${job.answered} written`;
    item.title = text;
    item.append(Object.assign(document.createElement('span'), {className: 'unseen', textContent: text}));
    return item;
  }));
}

// What each phase may take, and what of the time since the last look it was at work.
function showPhases(now) {
  byId('schedule').textContent = `${now.schedule}, ${now.shares.prefill}:${now.shares.decode}`;
  const seconds = before ? now.seconds - before.seconds : 0;
  byId('phases').replaceChildren(...now.lanes.flatMap((lane, i) => {
    const busy = seconds > 0 ? (lane.busy_seconds - before.lanes[i].busy_seconds) / seconds : 0;
    const name = Object.assign(document.createElement('span'), {textContent: lane.name});
    const text = Object.assign(document.createElement('span'), {textContent: `${number(100 * Math.min(busy, 1))} % busy`});
    return [name, bar([[lane.name, busy]]), text];
  }));
}

function showCache(now) {
  const {bytes: used, limit_bytes: limit, prefix_tokens: kept} = now.cache;
  byId('cache').textContent =
    `${bytes(used)}${limit === null ? '' : ' of ' + bytes(limit)}, ${number(kept)} tokens kept for prompts to come`;
  byId('cache-meter').hidden = limit === null;
  if (limit !== null) byId('cache-meter').value = used / limit;
}

function show(now) {
  byId('model').textContent = now.model;
  byId('state').textContent = now.draining ? 'shutting down' : 'ready';
  if (before && now.seconds < before.seconds) before = null; // another process answers
  showSpeeds(now);
  showBatch(now);
  showPhases(now);
  showCache(now);
  before = now;
}

async function poll() {
  clearTimeout(timer);
  let wait = 1000;
  if (document.visibilityState === 'visible') {
    try {
      show(await (await request('/status')).json());
    } catch (error) {
      wait = 3000;
      byId('state').textContent = error.message;
      if (error.status === 401) {
        byId('state').textContent = 'needs an API key';
        keyWanted();
        return; // until a key is given
      }
    }
  }
  clearTimeout(timer);
  timer = setTimeout(poll, wait);
}

export {poll as pollNow};

export function setUpLive(onKeyWanted) {
  keyWanted = onKeyWanted;
  poll();
}
