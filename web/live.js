/* What changes on the server, as it changes.
 *
 *   on('site', site => …)   also task (its details: Task, Steps, Error), counts, audit, diagnosis, gone, session, notify; returns what ends it.
 *   on('snapshot', overview => …)   everything may have changed: ask anew (first start, new boot,
 *                                   reset, reconnect after a gap)
 *   on('again', …)                  after each snapshot but the first
 *   on('state', state => …) {live: bool, since: ms of the last sign of life, updated: bool}
 * Each event carries the whole object: a lost or doubled one does no harm. Views use page.on(), which
 * ends with the view. */
import {get, parse} from './api.js';
import {now, setServerTime} from './time.js';

const SILENCE = 25000, HIDDEN = 30000, WAIT_MOST = 30000;
const kinds = ['site', 'task', 'counts', 'audit', 'diagnosis', 'gone', 'session', 'notify'];

const listeners = new Map();
export const state = {live: false, since: 0, updated: false, overview: null};
let source = null, silence = 0, retry = 0, tries = 0, hiding = 0, last = '', version = '', running = false, known = false;

export function on(kind, listener) {
	if (!listeners.has(kind))
		listeners.set(kind, new Set());
	listeners.get(kind).add(listener);
	return () => listeners.get(kind).delete(listener);
}

export function tell(kind, value) {
	for (const listener of [...listeners.get(kind) ?? []])
		listener(value);
}

function setLive(live) {
	state.live = live;
	tell('state', state);
}

function close() {
	source?.close();
	source = null;
	clearTimeout(silence);
}

function heard() {
	state.since = now();
	tries = 0;
	clearTimeout(silence);
	silence = setTimeout(lost, SILENCE);
	if (!state.live)
		setLive(true);
}

function lost() {
	close();
	if (!running)
		return;
	setLive(false);
	const wait = Math.min(WAIT_MOST, 1000 * 2 ** tries++) * (0.75 + Math.random() / 2);
	clearTimeout(retry);
	retry = setTimeout(snapshot, wait);
}

/* A closed stream hides its status, so the way back begins with a question: a session that has ended
 * is seen by its 401. */
async function snapshot() {
	clearTimeout(retry);
	close();
	if (!running)
		return;
	try {
		state.overview = await get('overview');
	} catch {
		return void lost();
	}
	setServerTime(state.overview.server_time);
	last = state.overview.event;
	noteVersion(state.overview.version);
	tell('snapshot', state.overview);
	if (known)
		tell('again', state);
	known = true;
	open();
}

function noteVersion(seen) {
	if (version && seen !== version) {
		state.updated = true;
		tell('state', state);
	}
	version ||= seen;
}

function hello(data) {
	noteVersion(data.version);
	if (state.overview && data.boot !== state.overview.boot)
		snapshot();
}

function listenTo(stream, kind, act) {
	stream.addEventListener(kind, event => {
		if (stream !== source)
			return;
		last = event.lastEventId || last;
		heard();
		act(parse(event.data || '{}'));
	});
}

function open() {
	if (!running)
		return;
	close();
	const stream = source = new EventSource(`api/events?since=${encodeURIComponent(last)}`);
	for (const kind of kinds)
		listenTo(stream, kind, data => tell(kind, data));
	listenTo(stream, 'hello', hello);
	listenTo(stream, 'beat', data => setServerTime(data.server_time));
	listenTo(stream, 'reset', snapshot);
	stream.onerror = () => stream === source && lost();
	silence = setTimeout(lost, SILENCE);
}

function seen() {
	clearTimeout(hiding);
	if (document.hidden)
		hiding = setTimeout(() => { close(); clearTimeout(retry); }, HIDDEN);
	else if (running && !source)
		snapshot();
}

export function start() {
	if (running)
		return;
	running = true;
	snapshot();
}

export function stop() {
	running = false;
	clearTimeout(retry);
	close();
}

document.addEventListener('visibilitychange', seen);
window.addEventListener('online', () => running && !source && snapshot());
