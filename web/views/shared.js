/* What several views share.
 *
 *   rowTime(at)             a time in a table: relative, or exact where the reader chose so
 *   exactSwitch(draw)       the switch for that
 *   slot('add', form.root)  a node that is made once, in a view that is drawn often: it is moved in
 *                           once, so that focus and what was typed stay
 *   sourceNote(source)      padlock and "line 12" beside what the file sets
 *   lifeOf(certificate)     what lifeline() and lifelineRow() ask for; null: there is none yet
 *   userName(name)          a field nobody sees, by which password managers know whose password it is
 *   listed(['a', 'b'])      "a and b";  count(2, 'site', 'sites') "2 sites" */
import {h, icon} from '../h.js';
import {file, isLocked} from '../parts.js';
import {time} from '../time.js';

let exact = false;

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

export function userName(name) {
	return h('input', {type: 'text', name: 'username', autocomplete: 'username', value: name, hidden: true});
}

export function listed(texts) {
	return texts.length < 2 ? texts.join('') : `${texts.slice(0, -1).join(', ')} and ${texts.at(-1)}`;
}

export function count(n, one, many) {
	return `${n.toLocaleString('en')} ${n === 1 ? one : many}`;
}
