/* Who changed what, from what to what, from where. The newest first; nothing here can be changed. */
import {h} from '../h.js';
import {list} from '../table.js';
import {band, button, link, mono, paper} from '../parts.js';
import {count, exactSwitch, rowTime, spanWords} from './shared.js';

function whatCell({what, subject}) {
	return [h('b', {}, what), subject ? [', ', mono(subject)] : null];
}

function changeCell({before, after}) {
	if (before === null)
		return after && spanWords(after);
	return [spanWords(before), h('span', {'aria-hidden': 'true'}, ' → '), h('span', {class: 'unseen'}, ' to '), after === null ? h('span', {class: 'hint'}, 'nothing') : spanWords(after)];
}

const columns = [
	{title: 'Time', kind: 'c-when', cell: item => rowTime(item.at)},
	{title: 'Who, from where', kind: 'c-who', cell: item => [item.who, item.address ? [', ', mono(item.address)] : null]},
	{title: 'What', head: true, kind: 'c-what', cell: whatCell},
	{title: 'Before and after', kind: 'c-change', cell: changeCell},
];

export function view(page) {
	let fresh = 0;
	const audit = list(page, {
		path: 'audit', one: 'entry', many: 'entries', caption: 'Audit, newest first', order: 'newest first', key: item => item.id, columns,
		filters: [{name: 'search', label: 'Search everything'}, {name: 'subject', label: 'Only about this name'}],
		empty: () => 'Nothing has been changed yet.',
	}, draw);

	function show() {
		fresh = 0;
		page.setQuery({cursor: ''});
		audit.load({announce: true});
	}

	function draw() {
		page.draw(
			band({path: [['Activity'], ['Audit']], subject: count(audit.total, 'entry', 'entries'), below: audit.controls(),
				actions: [fresh ? button(`Show ${fresh} new`, show) : null, page.may('administer') ? link('Export', 'api/audit/export', {class: 'button', download: ''}) : null]}),
			paper(audit.table(), audit.items.length ? exactSwitch(draw) : null));
	}

	page.title('Audit');
	audit.load();
	page.on('audit', () => {
		fresh++;
		if (audit.loaded)
			draw();
	});
	page.on('snapshot', () => audit.loaded && !page.query.get('cursor') && show());
}
