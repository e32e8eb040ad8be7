/* Who is told of what happens to certificates, whether messages arrive, and what is open. ?add=target
 * and ?change=ID show the form instead. */
import {h} from '../h.js';
import {get, post} from '../api.js';
import {list} from '../table.js';
import {band, button, failure, file, isLocked, link, menu, mono, noPermission, notice, paper, section, state} from '../parts.js';
import {time} from '../time.js';
import {addedNotice, levels, removeTarget, targetForm} from './alert-form.js';
import {count, exactSwitch, rowTime} from './shared.js';

const events = {renewed: 'Renewed', failed: 'Failed', expiring: 'Expires soon', expired: 'Expired', revoked: 'Revoked',
	differs: 'Served differs', unreachable: 'CA does not answer', limits: 'Limit reached', low: 'Limit near',
	recalled: 'To be replaced', terms: 'Other terms', test: 'Test'};
const example = `notify mail ops@example.com {
    server smtps://mail.example.com
    from   everseal@example.com
    user   everseal @/etc/everseal/mail-password
}`;

function stateCell({last, waiting}) {
	if (!last)
		return state('unknown', 'Not tried yet');
	if (last.arrived)
		return state('ok', 'Arrives');
	return waiting ? state('warning', 'Waiting') : state('problem', 'Not arrived');
}

/* The last error, too: a sentence, which no other column has room for. */
function targetCell({target, level, last_error: error}) {
	return [h('b', {}, target), h('div', {class: 'hint'}, `told ${levels[level]}`), error ? h('div', {class: 'why'}, error) : null];
}

function lastCell({last}) {
	if (!last)
		return 'none since the start';
	const {event, state: how, about, at} = last;
	const what = `${how === 'solved' ? 'Solved: ' : ''}${events[event] ?? event}`;
	return [rowTime(at), h('div', {class: 'hint'}, event === 'test' ? what : [what, ', ', mono(about)])];
}

function queueCell({waiting, lost, next_try: next}) {
	return [waiting ? [`${waiting.toLocaleString('en')}`, next ? [', next try ', time(next, 'relative', {inTable: true})] : null] : 'none',
		lost ? h('div', {class: 'hint'}, `${lost.toLocaleString('en')} given up`) : null];
}

function aboutCell({about, sentence, why, issuer}) {
	return [issuer ? h('b', {}, about) : link(about, `#/sites/${encodeURIComponent(about)}`, {class: 'mono'}),
		sentence.slice(about.length), why ? h('div', {class: 'hint'}, why) : null];
}

const openColumns = [
	{title: 'State', kind: 'c-state', cell: ({level}) => state(level === 'problem' ? 'problem' : 'warning')},
	{title: 'What', head: true, kind: 'c-what', cell: aboutCell},
	{title: 'Since', label: 'Since', kind: 'c-when', cell: ({since}) => rowTime(since)},
	{title: 'Last told', label: 'Last told', kind: 'c-when', cell: ({told}) => rowTime(told)},
	{title: 'Told again', label: 'Told again', kind: 'c-when', cell: ({next}) => next ? rowTime(next) : 'when it is solved'},
];

function targetColumns(test, change) {
	return [
		{title: 'State', kind: 'c-state', cell: stateCell},
		{title: 'Who', head: true, kind: 'c-target', cell: targetCell},
		{title: 'Last message', label: 'Last message', kind: 'c-last', cell: lastCell},
		{title: 'Waiting', label: 'Waiting:', kind: 'c-queue', cell: queueCell},
		{title: 'Set in', label: 'Set in', kind: 'nowrap', cell: t => isLocked(t.source) ? file(t.source) : 'this page'},
		test ? {title: h('span', {class: 'unseen'}, 'Test'), kind: 'c-menu', cell: test} : null,
		change ? {title: h('span', {class: 'unseen'}, 'Change'), kind: 'c-menu', cell: change} : null,
	].filter(Boolean);
}

function nobody(mayAdd) {
	return [h('p', {}, "Nobody is told yet, and Let's Encrypt warns nobody of expiry."),
		mayAdd ? h('p', {}, link('Add alert', '#/alerts?add=target', {class: 'button filled'})) : null,
		h('p', {}, mayAdd ? 'Or write' : 'Write', ' into everseal.conf whom Everseal tells, then ', h('code', {}, 'everseal reload'), '.'),
		h('pre', {}, example),
		h('p', {class: 'hint'}, 'A webhook or a program of yours can be told, too: ', h('code', {}, 'man everseal.conf'), '.')];
}

const heading = ({targets, open_count: open}) => `${count(targets.length, 'is told', 'are told')}, ${count(open, 'matter is open', 'matters are open')}`;

/* What came of the last test, for as long as nobody closes it. */
function outcome(results, close) {
	const bad = results.filter(r => !r.arrived);
	return notice(bad.length ? 'problem' : 'ok', results.map(({target, arrived, error}) =>
		h('p', {}, h('b', {}, target), arrived ? ': the test arrived.' : `: ${error}`)), {close});
}

function changeCell({id, target}) {
	return id ? menu('Change', [
		{text: 'Edit …', href: `#/alerts?change=${id}`},
		{text: 'Remove …', act: () => removeTarget({id, target})},
	], {kind: 'small', label: `Change ${target}`, key: id}) : null;
}

function showList(page) {
	const mayAdd = page.may('administer');
	const sending = new Set();
	let answer = null, told = null;

	const targets = list(page, {one: 'target', many: 'targets', caption: 'Who is told', key: t => t.id ?? `${t.target} ${t.source.line}`,
		columns: targetColumns(page.may('operate') ? testCell : null, mayAdd ? changeCell : null), empty: () => nobody(mayAdd)}, draw);
	const open = list(page, {one: 'matter', many: 'matters', caption: 'Open matters', key: m => `${m.event} ${m.about}`, columns: openColumns,
		empty: () => h('p', {}, 'Nothing is open: what was told is solved.')}, draw);

	function testCell({target}) {
		return sending.has(target) ? h('span', {role: 'status'}, 'Sending')
			: button('Send a test', () => test(target), {small: true, 'aria-label': `Send a test to ${target}`});
	}

	async function test(target) {
		sending.add(target);
		told = null;
		draw();
		try {
			const {results} = await post('notify/test', {target});
			told = outcome(results, () => say(null));
		} catch (error) {
			if (!error.sentence)
				throw error;
			told = failure(error);
		}
		sending.delete(target);
		draw();
	}

	function say(words) {
		told = words;
		draw();
	}

	function show(given) {
		answer = given;
		for (const [table, items] of [[targets, given.targets], [open, given.open]])
			Object.assign(table, {items, total: items.length, loaded: true});
		draw();
	}

	function sections() {
		if (!answer.targets.length)
			return targets.table();
		const unseen = answer.open_count - answer.open.length;
		return [section('Open matters', open.table(), unseen ? h('p', {class: 'hint after'}, `And ${unseen.toLocaleString('en')} more.`) : null),
			section('Who is told', targets.table()),
			h('p', {class: 'hint after'}, 'What does not arrive is tried again for a day. Programs are told by ', h('code', {}, 'notify'), ' in the configuration file alone, since they run on this machine.'),
			mayAdd ? null : page.may('operate') ? h('p', {class: 'hint'}, `Only administrators add and change who is told: your scope is ${page.session.scope}.`)
				: noPermission(page.session.scope),
			exactSwitch(draw)];
	}

	function draw() {
		if (answer)
			page.draw(band({path: [['Configuration'], ['Alerts']], subject: answer.targets.length ? heading(answer) : 'Nobody is told',
				actions: [mayAdd && answer.targets.length ? link('Add alert', '#/alerts?add=target', {class: 'button'}) : null]}),
			paper(h('div', {class: 'told', key: 'told'}, told ?? addedNotice(draw, page.may('operate') ? test : null)), sections()));
	}

	const load = () => page.load('alerts', signal => get('notify', {}, signal), show);
	page.title('Alerts');
	load();
	page.on('notify', show);
	page.on('snapshot', () => answer && load());
}

export function view(page) {
	const id = page.query.get('change');
	if (id || page.query.get('add'))
		targetForm(page, id);
	else
		showList(page);
}
