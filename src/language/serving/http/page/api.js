// The server as the page sees it: requests with the key, errors as messages, streams as objects.

export class ApiFailure extends Error {
  constructor(status, message) {
    super(message);
    this.status = status; // 0: the server was not reached
  }
}

const kKeyPlace = 'hone.key'; // of this tab alone

export function apiKey() {
  return sessionStorage.getItem(kKeyPlace) ?? '';
}
export function setApiKey(key) {
  sessionStorage.setItem(kKeyPlace, key.trim());
}

async function failure(response) {
  let message = response.statusText || 'HTTP ' + response.status;
  try {
    message = (await response.json()).error.message;
  } catch { /* it was not JSON: the status has to do */ }
  const wait = response.headers.get('Retry-After');
  if (response.status === 429 && wait) message += ` (again in ${wait} s)`;
  return new ApiFailure(response.status, message);
}

export async function request(path, body, signal) {
  const headers = {};
  if (apiKey()) headers.Authorization = 'Bearer ' + apiKey();
  if (body) headers['Content-Type'] = 'application/json';
  let response;
  try {
    response = await fetch(path, {method: body ? 'POST' : 'GET', headers, body: body && JSON.stringify(body), signal});
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new ApiFailure(0, 'the server cannot be reached');
  }
  if (!response.ok) throw await failure(response);
  return response;
}

// The objects of a stream of server-sent events, until [DONE]; an error among them is thrown.
export async function* streamOf(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  try {
    while (true) {
      const {value, done} = await reader.read();
      if (done) return;
      text += value;
      const events = text.split('\n\n');
      text = events.pop();
      for (const event of events) {
        if (!event.startsWith('data: ')) continue;
        const data = event.slice(6);
        if (data === '[DONE]') return;
        const object = JSON.parse(data);
        if (object.error) throw new ApiFailure(500, object.error.message);
        yield object;
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}
