// Callers of the history as applications write them, each with the habits of one that was seen: how it says who it is,
// how it writes times, what it needs of an answer, how it follows the location of a page.
'use strict';

/** The ways from a location to the address of its page. */
const FOLLOW = {
  'drops the first character': (base, location) => base + location.slice(1),
  'replaces the tilde by nothing': (base, location) => base + location.replace('~', ''),
  'replaces the whole beginning': (base, location) =>
    `${base}/rtm/message/history/query/${location.replace('~/rtm/message/history/query/', '')}`,
  'cuts at the last query': (base, location) => {
    const [, handle] = location.split('/query/');
    return `${base}/rtm/message/history/query/${handle}`;
  },
  'takes what follows the last slash': (base, location) =>
    `${base}/rtm/message/history/query/${location.substring(location.lastIndexOf('/') + 1)}`,
};

const json = { 'Content-Type': 'application/json' };
const seconds = (date) => `${date.toISOString().slice(0, 19)}Z`;
const withoutZone = (date) => date.toISOString().slice(0, 19);

async function post(url, headers, body) {
  const answer = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) });
  if (!answer.ok) {
    throw new Error(`${answer.status} ${await answer.text()}`);
  }
  return answer.json();
}

async function get(url, headers) {
  const answer = await fetch(url, { headers });
  if (!answer.ok) {
    throw new Error(`${answer.status} ${await answer.text()}`);
  }
  return answer.json();
}

/** Counts, then asks for pages of 100 until that many messages have come; never looks at `code`. */
async function countThenLoop(base, basic, channel, from, to) {
  const headers = { ...json, Authorization: basic };
  const filter = { source: '', destination: channel, start_time: withoutZone(from), end_time: withoutZone(to) };
  const parameters = Object.entries(filter).map(([name, value]) => `${name}=${value}`);
  const { count } = await get(`${base}/rtm/message/history/count?${parameters.join('&')}`, headers);
  const messages = [];
  for (let pages = 0; messages.length < count; pages++) {
    if (pages > count) {
      throw new Error(`${messages.length} of ${count} messages after ${pages} pages: it would never end`);
    }
    const body = { filter, offset: messages.length, limit: 100, order: 'asc' };
    const { location } = await post(`${base}/rtm/message/history/query`, headers, body);
    messages.push(...(await get(base + location.replace('~', ''), headers)).messages);
  }
  return messages;
}

/** In a browser: asks whether it may first, then sends token headers; milliseconds, newest first, reverses the page. */
async function browser(base, token, user, channel, from, to) {
  const url = `${base}/rtm/message/history/query`;
  const preflight = await fetch(url, {
    method: 'OPTIONS',
    headers: {
      origin: 'https://class.example',
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'content-type,x-agora-token,x-agora-uid',
    },
  });
  const allowed = preflight.headers.get('access-control-allow-headers').toLowerCase();
  if (preflight.status !== 204 || !['x-agora-token', 'x-agora-uid', 'content-type'].every((name) => allowed.includes(name))) {
    throw new Error(`the browser would not go on after ${preflight.status} ${allowed}`);
  }
  const headers = { ...json, origin: 'https://class.example', 'x-agora-token': token, 'x-agora-uid': user };
  const filter = { destination: channel, start_time: from.toISOString(), end_time: to.toISOString() };
  const { location } = await post(url, headers, { filter, offset: 0, limit: 100, order: 'desc' });
  const page = await fetch(base + location.slice(1), { headers });
  if (page.headers.get('access-control-allow-origin') !== '*') {
    throw new Error('the browser would not show the page');
  }
  const { code, messages } = await page.json();
  if (code !== 'ok') {
    throw new Error(`one of its retries: ${code}`);
  }
  return messages.reverse();
}

/** Declares every field of an answer and fails without one; a page that is not ready at once is a failure to it. */
async function typed(base, token, user, filter, from, to) {
  const headers = { ...json, 'x-agora-token': token, 'x-agora-uid': user };
  const body = { filter: { ...filter, start_time: seconds(from), end_time: seconds(to) }, offset: 0, limit: 20, order: 'asc' };
  const made = await post(`${base}/rtm/message/history/query`, headers, body);
  needs(made, { result: 'string', request_id: 'string', offset: 'number', limit: 'number', order: 'string', location: 'string' });
  const page = await get(base + made.location.replace('~', ''), headers);
  needs(page, { result: 'string', request_id: 'string', code: 'string', messages: 'object' });
  if (page.code !== 'ok') {
    throw new Error(`not ready: ${page.code}`);
  }
  for (const message of page.messages) {
    needs(message, { src: 'string', dst: 'string', message_type: 'string', payload: 'string', ms: 'number' });
  }
  return page.messages;
}

function needs(value, fields) {
  for (const [name, type] of Object.entries(fields)) {
    if (typeof value[name] !== type) {
      throw new TypeError(`${name} is ${typeof value[name]} in ${JSON.stringify(value)}`);
    }
  }
}

/** Goes to a page in one of the ways of `FOLLOW`; six fraction digits, limit 10 and no offset. */
async function follower(base, basic, way, channel, from, to) {
  const headers = { Authorization: basic };
  const micro = (date) => date.toISOString().replace('Z', '000Z');
  const filter = { destination: channel, start_time: micro(from), end_time: micro(to) };
  const { location } = await post(`${base}/rtm/message/history/query`, headers, { filter, limit: 10, order: 'desc' });
  return (await get(FOLLOW[way](base, location), headers)).messages;
}

module.exports = { FOLLOW, browser, countThenLoop, follower, typed };
