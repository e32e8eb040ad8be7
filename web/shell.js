/* What stands around every view: strip with lamps, host, Live and the person's menu; navigation. */
import {h, icon, said, update} from './h.js';
import {post, session as calls} from './api.js';
import * as live from './live.js';
import {go, may} from './router.js';
import {words} from './time.js';
import {button, failure, menu, notice, stateName, stateNames} from './parts.js';

const places = [
	['Configuration', [['#/lets-encrypt', "Let's Encrypt"], ['#/sites', 'Sites'], ['#/bindings', 'Bindings'], ['#/issuers', 'Issuers'], ['#/alerts', 'Alerts'], ['#/people', 'People']]],
	['Activity', [['#/tasks', 'Tasks'], ['#/audit', 'Audit']]],
	['', [['#/diagnosis', 'Diagnosis'], ['#/account', 'Account']]],
];
const always = ['problem', 'warning', 'working', 'temporary', 'ok'];

let session = null, counts = {}, hash = '', strip = null, nav = null, notes = null, opened = false, draining = false, clock = null, notEnded = null, newScope = null;

function lamp(name) {
	const n = counts[name] ?? 0;
	const [path, query] = hash.split('?');
	const pressed = path === '#/sites' && new URLSearchParams(query).get('state') === name;
	const kind = [`lamp is-${name}`, n ? 'lit' : 'zero', live.state.live ? '' : 'unsure'].filter(Boolean).join(' ');
	return h('button', {type: 'button', class: kind, key: name, 'aria-pressed': String(pressed),
		'aria-label': `${stateName(name)}, ${n} site${n === 1 ? '' : 's'}`,
		onclick: () => go(pressed ? '#/sites' : `#/sites?state=${name}`)},
	icon(name), h('span', {class: 'name'}, stateName(name)), h('span', {class: 'count'}, n.toLocaleString('en')));
}

function lamps() {
	const shown = Object.keys(stateNames).filter(n => always.includes(n) || (n === 'unknown' && counts[n]));
	return h('div', {class: 'lamps', role: 'group', 'aria-label': 'Sites by state'}, shown.map(lamp));
}

function liveWords() {
	const {live: isLive, since} = live.state;
	if (isLive)
		return h('span', {class: 'live'}, `Live ${words(since, 'clock')}`);
	return h('span', {class: 'live not', role: 'status'}, since ? `Not live since ${words(since, 'clock')}. Reconnecting` : 'Connecting');
}

async function signOut() {
	await calls.end().catch(() => {});
	location.assign(location.pathname);
}

function toggleNav() {
	opened = !opened;
	drawStrip();
	drawNav();
	if (opened)
		nav.querySelector('a').focus();
}

function drawStrip() {
	update(strip, h('a', {class: 'brand', href: '#/lets-encrypt'}, 'EVERSEAL'),
		lamps(),
		h('span', {class: 'host mono'}, session.host),
		liveWords(),
		menu(session.name, [{text: 'Account', href: '#/account'}, {text: 'Sign out', act: signOut}],
			{kind: 'person', label: `${session.name}, menu`}),
		h('button', {type: 'button', class: 'nav-toggle', 'aria-expanded': String(opened), 'aria-controls': 'nav', onclick: toggleNav}, 'Menu'));
}

function isHere(href) {
	const path = hash.split('?')[0] || '#/lets-encrypt';
	return path === href || path.startsWith(`${href}/`);
}

function drawNav() {
	nav.classList.toggle('opened', opened);
	update(nav, places.map(([title, links]) => h('div', {class: 'nav-group'},
		title ? h('p', {}, title) : null,
		h('ul', {}, links.map(([href, text]) => h('li', {}, h('a', {href, 'aria-current': isHere(href) ? 'page' : null}, text)))))),
	h('button', {type: 'button', class: 'plain sign-out', onclick: signOut}, 'Sign out'));
}

function endDraining() {
	post('drain', {on: false}).then(() => noteDraining(false), error => {
		notEnded = error;
		drawNotes();
	});
}

function drawNotes() {
	update(notes, live.state.updated ? notice('note', [h('p', {}, 'Everseal was updated.'),
		button('Reload', () => location.reload(), {small: true})], {key: 'updated'}) : null,
	newScope ? notice('note', newScope, {key: 'scope', close: () => { newScope = null; drawNotes(); }}) : null,
	clock ? notice('warning', said(clock), {key: 'clock'}) : null,
	draining ? notice('warning', [h('p', {}, 'Load balancers are told to send no visitors here. Whoever comes all the same is served.'),
		may('operate') ? button('Send visitors again', endDraining, {small: true}) : null], {key: 'draining'}) : null,
	notEnded ? h('div', {key: 'not-ended'}, failure(notEnded)) : null);
}

function noteDraining(on) {
	draining = on;
	notEnded = null;
	if (notes)
		drawNotes();
}

function skip(event) {
	event.preventDefault();
	document.querySelector('main h1')?.focus();
}

/* Builds it in place; returns where views are drawn and where waiting is told. */
export function showShell(place, person) {
	session = person;
	hash = location.hash;
	strip = h('header', {class: 'strip'});
	nav = h('nav', {class: 'nav', id: 'nav', 'aria-label': 'Everseal', onkeydown: event => {
		if (event.key === 'Escape' && opened) {
			toggleNav();
			strip.querySelector('.nav-toggle').focus();
		}
	}});
	notes = h('div', {class: 'notes'});
	const waiting = h('div', {class: 'waiting'}), view = h('div', {class: 'view'});
	place.className = 'signed-in';
	place.replaceChildren(h('a', {class: 'skip', href: '#main', onclick: skip}, 'Skip to the content'), strip, nav,
		h('main', {id: 'main'}, notes, waiting, view));
	drawStrip();
	drawNav();
	return {view, waiting};
}

const scopeSentences = {
	read: 'Your scope is read now: you can look, not change.',
	operate: 'Your scope is operate now: you can change sites and certificates, not people.',
	administer: 'Your scope is administer now: you may do everything on this page.',
};

/* changed: he may do more now, or less. */
export function updatePerson(person, changed) {
	session = person;
	if (changed)
		newScope = scopeSentences[person.scope] ?? null;
	drawStrip();
	drawNotes();
}

function note(overview) {
	counts = overview.counts;
	if (strip)
		drawStrip();
	clock = overview.clock;
	noteDraining(overview.draining);
}

live.on('counts', note);
live.on('snapshot', note);
live.on('state', () => { if (strip) { drawStrip(); drawNotes(); } });
live.on('route', to => {
	hash = to;
	opened = false;
	if (strip) {
		drawStrip();
		drawNav();
	}
});
setInterval(() => strip && live.state.live && drawStrip(), 30000);
