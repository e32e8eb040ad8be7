/* Hash routes. A view is a module with
 *     export function view(page, ...parameters) {…}      (parameters: the parts in the pattern's *)
 * and page offers
 *   page.title(text)          the window's title; an open problem leads it
 *   page.draw(...children)    makes the view's content as given (update() of h.js: focus and typed
 *                             text stay); the first time it focuses h1 and, on Back, puts scroll and
 *                             input back
 *   page.load('sites', signal => get('sites', {}, signal), answer => …)   old content stays, after
 *                             0.4 s words with Stop; a failure with Try again
 *   page.on(kind, listener)   live.on() until the view is left
 *   page.every(ms, act)       repeats until the view is left
 *   page.signal               aborted when the view is left
 *   page.query                URLSearchParams of the hash: #/sites?state=problem
 *   page.setQuery({state: ''}, {push: true})   changes it without leaving the view
 *   page.session              {name, scope, …};  page.may('operate') whether its scope suffices
 *   go('#/sites') goes there; reopen() draws the view anew, with what was typed. */
import {part} from './api.js';
import {update} from './h.js';
import * as live from './live.js';
import {band, link, load, paper, tellAll} from './parts.js';

const lists = {sites: 'All sites', tasks: 'All tasks', diagnosis: 'Diagnosis'};
const scopes = ['read', 'operate', 'administer', 'owner'];
const kept = new Map(); // history entry → scroll and input
let routes = [], place = null, waiting = null, current = null, session = null, entry = 0, entries = Date.now(), problems = 0;

export function setSession(value) {
	session = value;
}

export function go(hash) {
	if (location.hash === hash)
		open();
	else
		location.hash = hash;
}

export const may = scope => scopes.indexOf(session?.scope) >= scopes.indexOf(scope);

/* A part that is no encoded text fits no route, nor one that would lead elsewhere in the API. */
function decoded(part) {
	try {
		const text = decodeURIComponent(part);
		return text === '.' || text === '..' ? null : text;
	} catch {
		return null;
	}
}

function split(hash) {
	const [path, query = ''] = hash.replace(/^#\/?/, '').split('?');
	return {parts: path.split('/').map(decoded), query: new URLSearchParams(query), path};
}

function matching(parts) {
	for (const [pattern, load] of routes) {
		const wanted = pattern.split('/');
		if (wanted.length === parts.length && wanted.every((w, i) => w === '*' ? parts[i] : w === parts[i]))
			return {load, given: parts.filter((_, i) => wanted[i] === '*'), pattern};
	}
	return null;
}

function inputs() {
	return [...place.querySelectorAll('input[name], select[name], textarea[name]')].filter(i => i.type !== 'password');
}

function keep() {
	const typed = inputs().map(i => [i.name, i.type === 'checkbox' ? i.checked : i.value]);
	const opened = [...place.querySelectorAll('details')].map(d => d.open);
	kept.set(entry, {scroll: scrollY, typed, opened});
}

function restore(saved) {
	const fields = inputs();
	saved.typed.forEach(([name, value], i) => {
		const input = fields[i]?.name === name ? fields[i] : fields.find(f => f.name === name);
		if (input)
			input[input.type === 'checkbox' ? 'checked' : 'value'] = value;
	});
	place.querySelectorAll('details').forEach((d, i) => { d.open = saved.opened[i] ?? d.open; });
	scrollTo(0, saved.scroll);
}

/* Each history entry has a number of its own; one without is new. */
function enter() {
	const known = history.state?.entry;
	entry = known ?? ++entries;
	if (!known)
		history.replaceState({entry}, '');
	return kept.get(entry);
}

function titleOf(text) {
	return `${problems ? `Problem ${problems} - ` : ''}${text} - Everseal`;
}

/* Focus that lost its element goes to the head of the view, not to nowhere. */
function redraw(children) {
	const held = place.contains(document.activeElement);
	update(place, ...children);
	if (held && !place.contains(document.activeElement))
		place.querySelector('h1')?.focus({preventScroll: true});
}

/* What is there instead of a view that could not be loaded; the sentence stands above it. */
function notLoaded(title, error) {
	const [list] = split(location.hash).parts;
	return [band({path: [[title || 'Everseal']], subject: error.status === 404 ? 'Not found' : 'Not loaded'}),
		paper(lists[list] ? link(lists[list], `#/${list}`) : null)];
}

function makePage(query, saved) {
	const left = new AbortController(), ends = [];
	let drawn = false, title = '';
	const retitle = () => {
		const error = document.title.startsWith('Error: ') ? 'Error: ' : '';
		document.title = error + titleOf(title);
	};
	const page = {
		query, place, session, may,
		signal: left.signal,
		title(text) {
			title = text;
			document.title = titleOf(text);
		},
		draw(...children) {
			if (left.signal.aborted)
				return;
			if (drawn)
				return redraw(children);
			drawn = true;
			place.replaceChildren();
			update(place, ...children);
			place.querySelector('h1')?.focus({preventScroll: true});
			if (saved)
				restore(saved);
			else
				scrollTo(0, 0);
		},
		load: (what, request, show) => load(waiting, what, request, show, left.signal,
			error => drawn || page.draw(...notLoaded(title, error))),
		on: (kind, listener) => ends.push(live.on(kind, listener)),
		every(ms, act) {
			const timer = setInterval(act, ms);
			ends.push(() => clearInterval(timer));
		},
		setQuery(values, {push = false} = {}) {
			for (const [name, value] of Object.entries(values))
				if (value)
					query.set(name, value);
				else
					query.delete(name);
			const hash = `#/${split(location.hash).path}${query.size ? `?${query}` : ''}`;
			if (push) {
				keep();
				entry = ++entries;
				history.pushState({entry}, '', hash);
			} else {
				history.replaceState({entry}, '', hash);
			}
			live.tell('route', location.hash);
		},
		leave() {
			left.abort();
			ends.forEach(end => end());
		},
	};
	page.on('problems', retitle);
	return page;
}

function open() {
	if (current)
		keep();
	const saved = enter();
	const {parts, query} = split(location.hash || '#/lets-encrypt');
	const match = matching(parts) ?? {load: routes.at(-1)[1], given: [location.hash]};
	current?.leave();
	update(waiting);
	tellAll('');
	const page = current = makePage(query, saved);
	live.tell('route', location.hash);
	page.load('this view', signal => part(match.load, signal), module => module.view(page, ...match.given));
}

function count({counts}) {
	problems = counts.problem;
	live.tell('problems', problems);
}

live.on('counts', count);
live.on('snapshot', count);

/* The view anew, as Back would show it. */
export const reopen = open;

/* The last route is what is shown when nothing fits; status: the element for what is waited for. */
export function start(table, main, status) {
	routes = table;
	place = main;
	waiting = status;
	history.scrollRestoration = 'manual';
	window.addEventListener('hashchange', open);
	open();
}

export function stop() {
	window.removeEventListener('hashchange', open);
	current?.leave();
	current = null;
}
