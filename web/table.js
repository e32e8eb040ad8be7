/* Lists that the API searches, filters, sorts and pages: sites, tasks, audit and the like.
 *
 *   const sites = list(page, {
 *     path: 'sites', one: 'site', many: 'sites', caption: 'Sites, worst first', order: 'worst first',
 *     items: answer => answer.items,                         (that is the default)
 *     key: site => site.name,
 *     columns: [{title: 'Name', sort: 'name', cell: site => …, kind: 'mono', head: true, label: 'Expires'}],
 *       head: the cell that names the row; label: shown before the cell at 390 px; kind: classes
 *     filters: [{name: 'search', label: 'Search names'}, {name: 'state', label: 'State', options: [['', 'All'], …]}],
 *     empty: () => nodes (nothing at all),
 *     choose: site => 'Choose shop.example.com'              (a checkbox in each row), or left out
 *   }, draw);
 *   sites.load()            asks; draw() is called whenever something is to be drawn again
 *   sites.controls()        for the band: filters, "1 to 50 of 100", Previous, Next
 *   sites.table()           for the paper
 *   sites.total, .counts, .items, .chosen (Map key → item), .query() (what is asked now)
 *   sites.change(item)      a row changed: in place, the order stays until "Sort again"
 *   sites.gone(key)         a row went
 * What is chosen here lives in the hash (page.query). */
import {h, icon} from './h.js';
import {get} from './api.js';
import {button, tellAll} from './parts.js';

const TYPING = 250, ROWS = 50;

export function list(page, options, draw) {
	const {path, one, many, caption, order, key, columns, filters = [], empty, choose, items = a => a.items} = options;
	const self = {items: [], total: 0, counts: {}, from: 1, next: null, previous: null, chosen: new Map(), loaded: false,
		stale: false, load, controls, table, query, change, gone};
	let typing = 0;

	function query() {
		return Object.fromEntries([...page.query].filter(([name]) => name !== 'cursor'));
	}

	function asked() {
		return {...Object.fromEntries(page.query), limit: ROWS};
	}

	function load({announce = false} = {}) {
		return page.load(many, signal => get(path, asked(), signal), answer => {
			self.items = items(answer);
			Object.assign(self, {total: answer.total, counts: answer.counts ?? {}, from: answer.from ?? 1,
				next: answer.next ?? null, previous: answer.previous ?? null, loaded: true, stale: false});
			if (announce)
				tellAll(`${self.total} ${self.total === 1 ? one : many}`);
			draw();
		});
	}

	function set(values) {
		page.setQuery({cursor: '', ...values});
		load({announce: true});
	}

	function turn(cursor) {
		page.setQuery({cursor}, {push: true});
		load({announce: true}).then(() => scrollTo(0, 0));
	}

	function change(item) {
		const at = self.items.findIndex(i => key(i) === key(item));
		if (at < 0)
			return;
		self.items[at] = item;
		if (self.chosen.has(key(item)))
			self.chosen.set(key(item), item);
		self.stale = true;
		draw();
	}

	function gone(name) {
		self.items = self.items.filter(i => key(i) !== name);
		self.chosen.delete(name);
		self.stale = true;
		draw();
	}

	function searchField({name, label}) {
		return h('div', {class: 'filter wide'}, h('label', {for: `by-${name}`}, label),
			h('input', {id: `by-${name}`, name, type: 'search', value: page.query.get(name) ?? '', spellcheck: 'false',
				oninput: event => {
					clearTimeout(typing);
					const {value} = event.currentTarget;
					typing = setTimeout(() => set({[name]: value.trim()}), TYPING);
				}}));
	}

	function selectField({name, label, options: choices}) {
		return h('div', {class: 'filter', key: name}, h('label', {for: `by-${name}`}, label), h('span', {class: 'select'},
			h('select', {id: `by-${name}`, name, value: page.query.get(name) ?? '',
				onchange: event => set({[name]: event.currentTarget.value})},
			choices.map(([value, text]) => h('option', {value}, text))), icon('down')));
	}

	function where() {
		const last = self.from + self.items.length - 1;
		if (!self.loaded || !self.total)
			return '';
		return `${self.from} to ${last} of ${self.total.toLocaleString('en')}${order && !page.query.get('sort') ? `, ${order}` : ''}`;
	}

	function controls() {
		const pages = self.next || self.previous;
		return h('div', {class: 'controls'}, filters.map(f => f.options ? selectField(f) : searchField(f)),
			h('div', {class: 'paging'}, h('span', {}, where()),
				self.stale ? button('Sort again', () => load(), {small: true}) : null,
				pages ? [button('Previous', () => self.previous && turn(self.previous), {'aria-disabled': self.previous ? null : 'true'}),
					button('Next', () => self.next && turn(self.next), {'aria-disabled': self.next ? null : 'true'})] : null));
	}

	function sortBy({sort}) {
		const now = page.query.get('sort');
		set({sort: now === sort ? `-${sort}` : now === `-${sort}` ? '' : sort});
	}

	function heading(column) {
		const sort = page.query.get('sort') ?? '';
		const by = column.sort && sort.replace(/^-/, '') === column.sort;
		const down = sort.startsWith('-');
		return h('th', {role: 'columnheader', scope: 'col', class: column.kind,
			'aria-sort': by ? (down ? 'descending' : 'ascending') : null},
		column.sort ? h('button', {type: 'button', class: 'sort', onclick: () => sortBy(column)}, column.title,
			by ? icon(down ? 'up' : 'down') : null) : column.title);
	}

	function pick(item, yes) {
		if (yes)
			self.chosen.set(key(item), item);
		else
			self.chosen.delete(key(item));
		draw();
	}

	function pickCell(item) {
		const box = h('input', {type: 'checkbox', 'aria-label': choose(item), controlled: true, checked: self.chosen.has(key(item)),
			onchange: event => pick(item, event.currentTarget.checked)});
		return h('td', {role: 'cell', class: 'pick'}, box);
	}

	function pickAll() {
		const all = self.items.length > 0 && self.items.every(i => self.chosen.has(key(i)));
		return h('th', {role: 'columnheader', scope: 'col', class: 'pick'}, h('input', {type: 'checkbox', controlled: true, checked: all,
			'aria-label': `Choose all ${many} of this page`, onchange: event => {
				for (const item of self.items)
					if (event.currentTarget.checked)
						self.chosen.set(key(item), item);
					else
						self.chosen.delete(key(item));
				draw();
			}}));
	}

	function cell(column, item) {
		return column.head
			? h('th', {role: 'rowheader', scope: 'row', class: column.kind}, column.cell(item))
			: h('td', {role: 'cell', class: column.kind, 'data-label': column.label}, column.cell(item));
	}

	function row(item) {
		return h('tr', {role: 'row', key: key(item), class: self.chosen.has(key(item)) ? 'chosen' : null},
			choose ? pickCell(item) : null, columns.map(column => cell(column, item)));
	}

	function filtered() {
		return filters.some(({name}) => page.query.get(name));
	}

	function clear() {
		set(Object.fromEntries(filters.map(({name}) => [name, ''])));
		for (const {name} of filters)
			document.getElementById(`by-${name}`).value = '';
	}

	function nothing() {
		if (!filtered())
			return h('div', {class: 'empty'}, empty?.() ?? `No ${many} yet.`);
		const search = page.query.get('search');
		return h('div', {class: 'empty'}, h('p', {}, search ? `No ${one} matches "${search}".` : `No ${one} matches.`),
			button('Clear filter', clear));
	}

	function table() {
		if (!self.loaded)
			return null;
		if (!self.items.length)
			return nothing();
		return h('table', {role: 'table', class: `list list-${many}`}, h('caption', {class: 'unseen'}, caption),
			h('thead', {role: 'rowgroup'}, h('tr', {role: 'row'}, choose ? pickAll() : null, columns.map(heading))),
			h('tbody', {role: 'rowgroup'}, self.items.map(row)));
	}

	return self;
}
