/* One's own account: password, second factor, sessions, and how the page looks here. */
import {h} from '../h.js';
import {del, get, put, segment} from '../api.js';
import {form} from '../form.js';
import {band, button, columns, failure, notice, section} from '../parts.js';
import {time} from '../time.js';
import {longEnough, scopeWords} from './people-forms.js';
import {passwordField} from './sign-in.js';
import {secondFactor} from './second-factor.js';
import {count, slot, userName} from './shared.js';

const browsers = [[/Edg\//, 'Edge'], [/OPR\//, 'Opera'], [/Firefox\//, 'Firefox'], [/Chrom(e|ium)\//, 'Chrome'], [/Safari\//, 'Safari'], [/curl/, 'curl']];
const systems = [[/Android/, 'Android'], [/iPhone|iPad/, 'iOS'], [/Windows/, 'Windows'], [/Mac OS/, 'macOS'], [/Linux/, 'Linux']];

/* "Firefox on Linux", else what it said of itself. */
function browserOf(agent) {
	const find = table => table.find(([pattern]) => pattern.test(agent))?.[1];
	const [browser, system] = [find(browsers), find(systems)];
	return browser ? [browser, system].filter(Boolean).join(' on ') : agent || 'Unnamed program';
}

function passwordForm(name, changed) {
	const current = passwordField({name: 'current', label: 'Password now', autocomplete: 'current-password', check: text => text ? null : 'Give the password that you have now.'});
	const fresh = passwordField({name: 'new', label: 'New password', autocomplete: 'new-password', check: longEnough,
		hint: 'A few words in a row are good. Your other sessions end.'});
	return form({fields: [current, fresh], children: [userName(name), current.root, fresh.root], submit: 'Change password', send: async () => {
		await put('account/password', {current: current.value, new: fresh.value});
		current.value = fresh.value = '';
		changed();
	}});
}

function sessionRow(session, end) {
	return h('li', {key: session.id}, h('div', {},
		h('p', {}, h('b', {}, browserOf(session.agent)), session.current ? ', this one' : null),
		h('p', {class: 'hint'}, 'From ', h('span', {class: 'mono'}, session.address), ', signed in ', time(session.created, 'near'), ', last used ', time(session.last_used, 'relative'))),
	session.current ? null : button('End', () => end(session), {small: true, 'aria-label': `End the session of ${browserOf(session.agent)} from ${session.address}`}));
}

const themes = [['', 'As this device'], ['light', 'Light'], ['dark', 'Dark']];

function themeNow() {
	return document.documentElement.dataset.theme ?? '';
}

function setTheme(value) {
	if (value)
		document.documentElement.dataset.theme = value;
	else
		delete document.documentElement.dataset.theme;
	try {
		localStorage.setItem('theme', value);
	} catch {
		// kept for this visit alone
	}
}

function themeChoice() {
	return h('fieldset', {class: 'themes'}, h('legend', {class: 'unseen'}, 'Theme'), themes.map(([value, text]) =>
		h('label', {}, h('input', {type: 'radio', name: 'theme', value, checked: themeNow() === value, onchange: () => setTheme(value)}), text)));
}

export function view(page) {
	let account = null, said = null;
	const password = passwordForm(page.session.name, () => tell('Password changed. Your other sessions have ended.'));
	const factor = secondFactor(page.session.name, draw, load);

	function tell(text) {
		said = text;
		load();
	}

	function load() {
		return page.load('your account', signal => get('account', {}, signal), answer => {
			account = answer;
			draw();
		});
	}

	async function end(session) {
		try {
			await del(`account/sessions/${segment(session.id)}`);
			tell(`The session from ${session.address} has ended.`);
		} catch (error) {
			if (!error.sentence)
				throw error;
			said = error;
			draw();
		}
	}

	function toldNow() {
		if (!said)
			return null;
		const close = () => { said = null; draw(); };
		return typeof said === 'string' ? notice('ok', h('p', {}, said), {close, key: 'said'}) : failure(said, close);
	}

	function draw() {
		if (!account)
			return;
		const {name, scope, sessions} = account;
		page.draw(
			band({path: [['Account']], subject: name, readouts: [
				{label: 'Scope', value: scopeWords(scope), lines: [scope === 'administer' ? 'Everything on this page' : null]},
				{label: 'Second factor', value: account.second_factor ? 'On' : 'Off', state: account.second_factor ? 'ok' : 'off'},
				{label: 'Sessions', value: String(sessions.length)},
			]}),
			columns(
				[toldNow(), section('Password', slot('password', password.root)), factor(account)],
				[section(count(sessions.length, 'session', 'sessions'), h('ul', {class: 'sessions'}, sessions.map(s => sessionRow(s, end)))),
					section('Theme', themeChoice(), h('p', {class: 'hint'}, 'For this browser alone.'))]));
	}

	page.title('Account');
	load();
	page.on('session', ({ended}) => ended || load());
	page.on('snapshot', () => account && load());
}
