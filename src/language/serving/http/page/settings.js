// The settings form: kept from visit to visit, except the key, which lives as long as its tab.
import {apiKey, setApiKey} from './api.js';

const kPlace = 'hone.settings';
const kKept = ['system', 'temperature', 'top-p', 'max-tokens', 'seed'];
const field = (id) => document.getElementById(id);

export function setUpSettings(onKey) {
  let kept = {};
  try {
    kept = JSON.parse(localStorage.getItem(kPlace)) ?? {};
  } catch { /* what was kept is not ours: the defaults stay */ }
  for (const id of kKept) {
    if (typeof kept[id] === 'string') field(id).value = kept[id];
  }
  field('api-key').value = apiKey();
  field('parameters').addEventListener('change', (event) => {
    if (event.target.id === 'api-key') {
      setApiKey(event.target.value);
      onKey();
    } else {
      localStorage.setItem(kPlace, JSON.stringify(Object.fromEntries(kKept.map((id) => [id, field(id).value]))));
    }
  });
  field('parameters').addEventListener('submit', (event) => event.preventDefault());
}

export function askForKey() {
  field('key-row').hidden = false;
  field('settings').open = true;
}

// The first field that does not hold what it may; null where all do.
export function wrongField() {
  return kKept.map(field).find((element) => !element.checkValidity()) ?? null;
}

// As fields of a request. `attempt`: how many answers to the same message came before; a fixed seed moves on by it,
// because it would bring the same answer.
export function sampling(attempt) {
  const values = {};
  const put = (name, id) => {
    if (field(id).value !== '') values[name] = Number(field(id).value);
  };
  put('temperature', 'temperature');
  put('top_p', 'top-p');
  put('max_tokens', 'max-tokens');
  put('seed', 'seed');
  if (values.seed !== undefined) values.seed += attempt;
  return values;
}

export function systemPrompt() {
  return field('system').value.trim();
}
