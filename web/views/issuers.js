/* The CAs that the configuration knows, the accounts there, and what their directories say now. */
import {h} from '../h.js';
import {get, segment} from '../api.js';
import {list} from '../table.js';
import {band, button, failure, facts, file, isLocked, link, mono, paper, section, state} from '../parts.js';
import {span} from '../time.js';
import {count, exactSwitch, rowTime} from './shared.js';

function nameCell(issuer) {
	const notes = [issuer.default ? 'the default' : null, issuer.staging ? 'for rehearsals: browsers trust none of its certificates' : null].filter(Boolean);
	return [h('b', {}, issuer.title), h('div', {class: 'hint'}, mono(issuer.name), notes.length ? `, ${notes.join(', ')}` : null)];
}

function accountCell({account, account_doubt: doubt, eab, directory}) {
	if (!directory)
		return 'None is needed';
	if (!account)
		return eab ? 'Made with the first order, bound to yours there' : 'Made with the first order';
	return [account.email || 'Without e-mail', doubt ? h('div', {}, state('warning', 'Its key is in doubt')) : null, account.terms ? h('div', {class: 'hint'}, link('Terms accepted', account.terms, {rel: 'noreferrer'})) : null];
}

function directoryCell({name, directory, trust, roots}) {
	if (!directory)
		return ['Certificates for private names, made by this server', h('div', {class: 'hint'}, roots
			? ['trusted by who installs ', h('a', {href: `api/issuers/${segment(name)}/roots/export`, download: 'everseal-roots.pem'},
				count(roots, 'its root', 'its roots'))]
			: 'its root is made with the first one')];
	return [mono(directory), trust ? h('div', {class: 'hint'}, 'trusted by a root of your own') : null];
}

function saidNow({terms, website, caa_identities: names, eab_required: eab}) {
	return facts([
		['CAA name', names.length ? mono(names.join(', ')) : 'none told'],
		terms ? ['Terms', link(terms, terms, {rel: 'noreferrer'})] : null,
		website ? ['Website', link(website, website, {rel: 'noreferrer'})] : null,
		['Account', eab ? 'only with a key from the CA (`eab` in the configuration)' : 'open to everybody'],
	]);
}

/* Four fifths are much, as in the messages. */
function limitState({used, most, next}) {
	if (next)
		return state('problem', 'Used up');
	return used * 5 < most * 4 ? state('ok', 'Room') : state('warning', 'Little left');
}

function limitCell({issuer, limit, about}) {
	return [issuer, ', ', limit, about ? h('div', {class: 'hint'}, mono(about)) : null];
}

function leftCell({used, most, reserved, seconds}) {
	return [`${(most - Math.min(used, most)).toLocaleString('en')} of ${most.toLocaleString('en')} in ${seconds === 3600 ? '1 hour' : span(seconds * 1000)}`,
		reserved ? h('div', {class: 'hint'}, `${reserved.toLocaleString('en')} kept for renewals of the next days`) : null];
}

const limitColumns = [
	{title: 'State', kind: 'c-state', cell: limitState},
	{title: 'Limit', head: true, cell: limitCell},
	{title: 'Left', label: 'Left:', cell: leftCell},
	{title: 'One more comes', label: 'One more comes', kind: 'c-when', cell: ({used, more}) => used ? rowTime(more) : null},
	{title: 'Next try', label: 'Next try', kind: 'c-when', cell: ({next}) => next ? rowTime(next) : 'at any time'},
];

/* What a CA itself has said, whatever our own count says. */
const waitColumns = [
	{title: 'State', kind: 'c-state', cell: () => state('warning', 'Wait')},
	{title: 'CA', head: true, cell: ({issuer, about}) => [issuer, h('div', {class: 'hint'}, about ? mono(about) : 'every order')]},
	{title: 'It said', label: 'It said:', cell: ({words}) => words},
	{title: 'Until', label: 'Until', kind: 'c-when', cell: ({until}) => rowTime(until)},
];

export function view(page) {
	const said = new Map(); // issuer → what its directory said, a promise's outcome

	async function ask({name}) {
		said.set(name, 'asking');
		draw();
		said.set(name, await get(`issuers/${segment(name)}/directory`, {}, page.signal).catch(error => error));
		draw();
	}

	function nowCell(issuer) {
		const answer = said.get(issuer.name), again = () => ask(issuer);
		if (!issuer.directory)
			return null;
		if (answer === 'asking')
			return h('span', {role: 'status'}, 'Asking');
		if (answer instanceof Error)
			return failure(answer, again);
		return answer ? saidNow(answer) : button('Ask it', again, {small: true, 'aria-label': `Ask ${issuer.title}`});
	}

	const issuers = list(page, {
		path: 'issuers', one: 'issuer', many: 'issuers', caption: 'Issuers', key: issuer => issuer.name,
		columns: [
			{title: 'Issuer', head: true, cell: nameCell},
			{title: 'Directory', kind: 'c-directory', cell: directoryCell},
			{title: 'Account', label: 'Account:', kind: 'c-account', cell: accountCell},
			{title: 'Set in', label: 'Set in', kind: 'nowrap', cell: ({source}) => isLocked(source) ? file(source) : 'built in'},
			{title: 'What the directory says now', kind: 'c-now', cell: nowCell},
		],
	}, draw);

	const limits = list(page, {one: 'limit', many: 'limits', caption: 'What is left of the limits', columns: limitColumns,
		key: l => `${l.issuer} ${l.limit} ${l.about}`}, draw);
	const waits = list(page, {one: 'wait', many: 'waits', caption: 'CAs that ask to wait', columns: waitColumns,
		key: w => `${w.issuer} ${w.about}`}, draw);

	function draw() {
		limits.items = issuers.items.flatMap(i => i.limits.map(l => ({issuer: i.title, ...l}))).filter(l => l.used || !l.about);
		const doubts = issuers.items.filter(i => i.account_doubt);
		waits.items = issuers.items.flatMap(i => i.waits.map(w => ({issuer: i.title, ...w})));
		limits.loaded = waits.loaded = issuers.loaded;
		page.draw(
			band({path: [['Configuration'], ['Issuers']], subject: count(issuers.items.length, 'issuer', 'issuers')}),
			paper(issuers.table(), h('p', {class: 'hint after'}, 'Another one: ', h('code', {}, 'issuer NAME { directory URL }'),
				' in the configuration file, then ', h('code', {}, 'everseal reload'), '.'),
			doubts.length ? section('Accounts whose key is in doubt', doubts.map(i => h('p', {}, i.account_doubt))) : null,
			waits.items.length ? section('CAs that ask to wait', waits.table(),
				h('p', {class: 'hint after'}, 'In their own words. What it concerns is ordered again after that, by itself.'),
				exactSwitch(draw)) : null,
			limits.items.length ? section('What is left of the limits', limits.table(),
				h('p', {class: 'hint after'}, "By Everseal's own count of what it ordered, of those that are nearest to their limit. What others order for the same domain is not seen."),
				exactSwitch(draw)) : null));
	}

	page.title('Issuers');
	issuers.load();
	page.on('snapshot', () => issuers.loaded && issuers.load());
	page.every(60000, () => issuers.loaded && !document.hidden && issuers.load());
}
