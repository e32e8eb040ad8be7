/* People and API tokens: who may sign in or call, with which scope. ?add=person and ?add=token show the
 * form instead. */
import {h} from '../h.js';
import {del, put, segment} from '../api.js';
import {choice} from '../form.js';
import {list} from '../table.js';
import {ask, band, link, menu, notice, paper, section, state} from '../parts.js';
import {now, words} from '../time.js';
import {passwordField} from './sign-in.js';
import {personForm, scopes, scopeWords, tokenForm, tokenNotice} from './people-forms.js';
import {count, exactSwitch, rowTime, userName} from './shared.js';

/* Each of these resolves with the server's answer, or null if nothing was done. */
async function answerOf(options) {
	let answer = null;
	await ask({...options, run: async () => { answer = await options.run(); }});
	return answer;
}

function changeScope({name, scope}) {
	const chosen = choice({name: 'scope', label: 'Scope', options: scopes, value: scope});
	return answerOf({title: `Scope of ${name}`, body: [chosen.root], safe: 'Keep it', act: 'Save', focus: chosen.input,
		run: () => put(`people/${segment(name)}`, {scope: chosen.value})});
}

function setPassword({name}) {
	const password = passwordField({name: 'new', label: 'New password', autocomplete: 'new-password'});
	return answerOf({title: `New password for ${name}`, safe: 'Keep the old one', act: 'Set it', focus: password.input,
		body: [h('p', {class: 'hint'}, `Ends all sessions of ${name}.`), userName(name), password.root],
		run: () => put(`people/${segment(name)}`, {password: password.value})});
}

function removePerson({name}) {
	return answerOf({title: `Remove ${name}?`, safe: 'Keep it', act: `Remove ${name}`, danger: true,
		body: [h('p', {}, `${name} can no longer sign in; the sessions end now. What ${name} did stays in the audit.`)],
		run: () => del(`people/${segment(name)}`)});
}

function removeToken({id, name}) {
	return ask({title: `Remove the token ${name}?`, safe: 'Keep it', act: `Remove ${name}`, danger: true,
		body: [h('p', {}, 'What uses it is refused from now on. It cannot be put back: make a new one then.')],
		run: () => del(`tokens/${segment(id)}`)});
}

/* Tokens that could do more than whoever made them may do now. */
function removedNotice(removed, close) {
	if (!removed)
		return null;
	const {name, tokens_removed: n} = removed;
	return notice('warning', h('p', {}, `${count(n, 'token', 'tokens')} that ${name} made ${n === 1 ? 'was' : 'were'} removed too: ${n === 1 ? 'it' : 'they'} could do more than ${name} may do now. What used ${n === 1 ? 'it' : 'them'} is refused.`),
		{close, key: 'removed'});
}

function personColumns(page, changed) {
	const then = act => person => act(person).then(answer => answer && changed(person.name, answer));
	const entries = person => [
		{text: 'Scope …', act: () => then(changeScope)(person)},
		{text: 'New password …', act: () => then(setPassword)(person)},
		{text: 'Remove …', act: () => then(removePerson)(person)},
	];
	return [
		{title: 'Name', head: true, cell: p => [h('b', {}, p.name), p.name === page.session.name ? h('span', {class: 'hint'}, ' you') : null]},
		{title: 'Scope', cell: p => scopeWords(p.scope)},
		{title: 'Second factor', label: 'Second factor:', cell: p => p.second_factor ? state('ok', 'On') : state('off', 'Off')},
		{title: 'Since', label: 'Since', cell: p => rowTime(p.created)},
		{title: 'Last seen', label: 'Last seen', cell: p => p.last_seen ? rowTime(p.last_seen) : 'never'},
		{title: h('span', {class: 'unseen'}, 'Change'), kind: 'c-menu', cell: p => menu('Change', entries(p), {kind: 'small', label: `Change ${p.name}`, key: p.name + p.scope})},
	];
}

function expiry({expires}) {
	if (!expires)
		return 'never';
	return Date.parse(expires) <= now() ? state('off', `Expired ${words(expires, 'moment')}`) : rowTime(expires);
}

function tokenColumns(again) {
	return [
		{title: 'Name', head: true, cell: t => h('b', {}, t.name)},
		{title: 'Scope', cell: t => scopeWords(t.scope)},
		{title: 'Made', label: 'Made', cell: t => [rowTime(t.created), t.by ? `, by ${t.by}` : null]},
		{title: 'Expires', label: 'Expires', cell: expiry},
		{title: 'Last used', label: 'Last used', cell: t => t.last_used ? rowTime(t.last_used) : 'never'},
		{title: h('span', {class: 'unseen'}, 'Change'), kind: 'c-menu', cell: t => h('button', {type: 'button', class: 'small', 'aria-label': `Remove ${t.name}`,
			onclick: () => removeToken(t).then(done => done && again())}, 'Remove …')},
	];
}

function showLists(page) {
	let removed = null;
	const people = list(page, {path: 'people', one: 'person', many: 'people', caption: 'People', key: p => p.name,
		columns: personColumns(page, changed)}, draw);
	const tokens = list(page, {path: 'tokens', one: 'token', many: 'tokens', caption: 'API tokens', key: t => t.id,
		columns: tokenColumns(() => tokens.load()),
		empty: () => [h('p', {}, 'No tokens yet. A token lets a script call the API, sent as ', h('code', {}, 'X-Octopus-ApiKey'), ' or ', h('code', {}, 'Authorization: Bearer'), '.')]}, draw);

	function changed(name, answer) {
		removed = answer.tokens_removed ? {name, ...answer} : null;
		people.load().then(() => tokens.load()).then(() => removed && document.querySelector('.told button')?.focus());
	}

	function draw() {
		if (!people.loaded || !tokens.loaded)
			return;
		page.draw(
			band({path: [['Configuration'], ['People']], subject: `${count(people.total, 'person', 'people')}, ${count(tokens.total, 'token', 'tokens')}`,
				actions: [link('Add person', '#/people?add=person', {class: 'button'}), link('Make token', '#/people?add=token', {class: 'button'})]}),
			paper(tokenNotice(draw), h('div', {class: 'told', key: 'told'}, removedNotice(removed, () => { removed = null; draw(); })),
				section('People', people.table(), people.next || people.previous ? people.controls() : null),
				section('API tokens', tokens.table(), tokens.next || tokens.previous ? tokens.controls() : null),
				exactSwitch(draw)));
	}

	page.title('People');
	people.load().then(() => tokens.load());
	page.on('snapshot', () => tokens.loaded && people.load().then(() => tokens.load()));
}

function refused(page) {
	page.title('People');
	page.draw(band({path: [['Configuration'], ['People']], subject: 'People and tokens'}),
		paper(h('p', {class: 'hint'}, `Only administrators see people and tokens: your scope is ${page.session.scope}. Your own password and sessions are under `, link('Account', '#/account'), '.')));
}

export function view(page) {
	const wanted = page.query.get('add');
	if (!page.may('administer'))
		refused(page);
	else if (wanted === 'person')
		personForm(page);
	else if (wanted === 'token')
		tokenForm(page);
	else
		showLists(page);
}
