/* What several views share.
 *
 *   rowTime(at)             a time in a table: relative, or exact where the reader chose so
 *   exactSwitch(draw)       the switch for that
 *   slot('add', form.root)  a node that is made once, in a view that is drawn often: it is moved in
 *                           once, so that focus and what was typed stay
 *   sourceNote(source)      padlock and "line 12" beside what the file sets
 *   lifeOf(certificate)     what lifeline() and lifelineRow() ask for; null: there is none yet
 *   userName(name)          a field nobody sees, by which password managers know whose password it is
 *   spanWords('300 s → 86400 s')  seconds in the audit's words, as people say them
 *   taskTook(task)          how long, where only whole seconds are known
 *   upstreamHint            what an application address looks like
 *   listed(['a', 'b'])      "a and b";  count(2, 'site', 'sites') "2 sites" */
import {h, icon} from '../h.js';
import {file, isLocked} from '../parts.js';
import {span, time} from '../time.js';

let exact = false;

export const upstreamHint = 'Address or name, and port: 127.0.0.1:3000; https:// before it if it speaks TLS.';

export function rowTime(at) {
	return at ? time(at, exact ? 'moment' : 'relative', {inTable: true}) : null;
}

export function exactSwitch(draw) {
	const box = h('input', {id: 'exact', type: 'checkbox', controlled: true, checked: exact, onchange: event => {
		exact = event.currentTarget.checked;
		draw();
	}});
	return h('p', {class: 'tick exact'}, box, h('label', {for: 'exact'}, 'Exact times'));
}

export function slot(key, node) {
	return h('div', {key, own: key}, node.isConnected ? null : node);
}

export function sourceNote(source) {
	if (!isLocked(source))
		return null;
	return h('span', {class: 'source', title: `Set in ${file(source)}`}, icon('lock'),
		h('span', {class: 'unseen'}, 'Set in the configuration file, '), `line ${source.line}`);
}

export function lifeOf(certificate) {
	if (!certificate?.not_after)
		return null;
	const {not_before: issued, not_after: expires, next_renewal: renewal, failures, last_error: error} = certificate;
	return {issued, expires, renewal, due: failures ? error?.at ?? null : null};
}

const ages = {300: '5 minutes', 3600: '1 hour', 86400: '1 day', 31536000: '1 year'};

export function age(seconds) {
	return ages[seconds] ?? (seconds % 86400 === 0 ? `${seconds / 86400} days` : `${seconds} seconds`);
}

export function spanWords(text) {
	return text.replace(/\b(\d+) s\b/g, (_, seconds) => age(Number(seconds)));
}

export function taskTook({QueueTime: queued, StartTime: began, CompletedTime: ended}) {
	const ms = Date.parse(ended) - Date.parse(began ?? queued);
	return ms < 1000 ? 'under 1 second' : span(ms);
}

export function userName(name) {
	return h('input', {type: 'text', name: 'username', autocomplete: 'username', value: name, hidden: true});
}

export function listed(texts) {
	return texts.length < 2 ? texts.join('') : `${texts.slice(0, -1).join(', ')} and ${texts.at(-1)}`;
}

export function count(n, one, many) {
	return `${n.toLocaleString('en')} ${n === 1 ? one : many}`;
}
