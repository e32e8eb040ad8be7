/* One list: what comes and why then, now, and what was. */
import {h, icon, said} from '../h.js';
import {now, time, words} from '../time.js';
import {link, section} from '../parts.js';
import {spanWords, taskTook} from './shared.js';
import {isRunning, subject} from './steps.js';

const SHOWN = 12;

function coming(site, title) {
	const c = site.certificate, entries = [];
	if (c?.next_renewal && c.state !== 'working')
		entries.push({at: c.next_renewal, lamp: 'coming', head: c.failures ? 'Next try' : 'Renewal',
			text: c.failures ? '. The last attempt failed.' : ` (${c.reason}), then a look at what is served.`});
	if (c?.next_renewal && c.state === 'working')
		entries.push({at: c.next_renewal, lamp: 'coming', head: 'Goes on', text: `. ${c.reason}`});
	if (c?.next_check)
		entries.push({at: c.next_check, lamp: 'coming', head: 'Check', text: `. Everseal looks at what is served${c.next_renewal ? `, and asks ${title} when to renew` : ''}.`});
	return entries;
}

const done = {ConfigureLetsEncrypt: 'Registered', RenewLetsEncrypt: 'Renewed', RevokeLetsEncrypt: 'Revoked'};

function attempt(task) {
	const steps = link('Steps', `#/tasks/${encodeURIComponent(task.Id)}`, {'aria-label': `Steps of the ${subject(task).toLowerCase()} of ${words(task.QueueTime, 'near')}`});
	if (isRunning(task))
		return {at: task.QueueTime, lamp: 'working', head: `${subject(task)} under way`, text: '. ', steps};
	if (task.FinishedSuccessfully)
		return {at: task.CompletedTime, lamp: 'ok', head: done[task.Name] ?? subject(task), text: ` in ${taskTook(task)}. `, steps};
	const what = task.State === 'Canceled' ? 'stopped' : 'failed';
	return {at: task.CompletedTime ?? task.QueueTime, lamp: what === 'failed' ? 'problem' : 'off', bad: what === 'failed',
		head: `${subject(task)} ${what}`, text: `. ${task.ErrorMessage ?? ''} `, steps};
}

function change(item) {
	const values = item.after ? `, ${item.before ? `${item.before} → ` : ''}${item.after}` : '';
	return {at: item.at, lamp: 'ok', head: item.what, text: `${spanWords(values)}, by ${item.who}.`};
}

/* What a task tells better. */
const isAttempt = item => /^(Regist|Renew|Revo)/.test(item.what);

function handshake(c) {
	if (!c?.served_at)
		return [];
	const same = c.served === 'stored';
	return [{at: c.served_at, lamp: same ? 'ok' : 'warning', head: same ? 'Handshake OK' : 'Handshake', text: same ? '. What is stored is served.' : `. ${c.served}`}];
}

function visitor(c) {
	return c?.seen_from_outside ? [{at: c.seen_from_outside, lamp: 'ok', head: 'Visitor from outside', text: c.seen_client ? `, ${c.seen_client}.` : '.'}] : [];
}

function entry({at, lamp, bad, head, text, steps}) {
	return h('li', {key: `${at} ${head}`}, time(at, 'near'), h('span', {class: `is-${lamp}`}, icon(lamp)),
		h('span', {}, h('b', {class: bad ? 'is-problem' : null}, head), said(text), steps));
}

export function historySection(site, {tasks, audit}) {
	const title = site.issuer_title ?? 'the CA', c = site.certificate;
	const later = coming(site, title).sort((a, b) => Date.parse(b.at) - Date.parse(a.at));
	const past = [...handshake(c), ...visitor(c), ...tasks.map(attempt), ...audit.filter(item => !isAttempt(item)).map(change)]
		.sort((a, b) => Date.parse(b.at) - Date.parse(a.at));
	const all = c ? `#/tasks?about=${encodeURIComponent(c.id)}` : `#/audit?search=${encodeURIComponent(site.name)}`;
	return section('Next and history', h('ol', {class: 'history'}, later.map(entry),
		h('li', {class: 'now', key: 'now'}, time(now(), 'short'), icon('now'), h('span', {}, 'Now')),
		past.slice(0, SHOWN).map(entry)),
	h('p', {class: 'history-end'}, link(c ? 'All tasks' : 'All changes', all)));
}
